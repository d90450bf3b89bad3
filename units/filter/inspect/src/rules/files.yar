// Files that attackers send because they look like something else, or like nothing.

rule shortcut_starts_interpreter {
    meta:
        description = "a shortcut that starts a command interpreter"
    strings:
        $a = "powershell" nocase wide ascii
        $b = "cmd.exe" nocase wide ascii
        $c = "mshta" nocase wide ascii
        $d = "wscript" nocase wide ascii
        $e = "cscript" nocase wide ascii
        $f = "rundll32" nocase wide ascii
        $g = "regsvr32" nocase wide ascii
        $h = "forfiles" nocase wide ascii
        $i = "conhost" nocase wide ascii
    condition:
        uint32(0) == 0x0000004c and uint32(4) == 0x00021401 and any of them
}

rule script_downloads_and_runs {
    meta:
        description = "a script that downloads a file and runs it"
    strings:
        $host1 = "WScript.CreateObject" nocase
        $host2 = "new ActiveXObject" nocase
        $host3 = /CreateObject\s*\(/ nocase
        $get1 = "MSXML2" nocase
        $get2 = "WinHttp" nocase
        $get3 = "Microsoft.XMLHTTP" nocase
        $save = "ADODB.Stream" nocase
        $run1 = "WScript.Shell" nocase
        $run2 = "Shell.Application" nocase
    condition:
        filesize < 4MB and any of ($host*) and any of ($get*) and ($save or any of ($run*))
            and not uint32be(0) == 0xd0cf11e0
}

rule powershell_downloads_and_runs {
    meta:
        description = "PowerShell that downloads code and runs it"
    strings:
        $get1 = "DownloadString" nocase
        $get2 = "DownloadData" nocase
        $get3 = "Net.WebClient" nocase
        $get4 = "Invoke-WebRequest" nocase
        $run1 = /\bIEX\b/ nocase
        $run2 = "Invoke-Expression" nocase
        $run3 = "Reflection.Assembly" nocase
        $how1 = "-EncodedCommand" nocase
        $how2 = /-w(indowstyle)?\s+h(idden)?/ nocase
    condition:
        filesize < 1MB and any of ($get*) and any of ($run*) and any of ($how*, $get1, $get2)
}

rule internet_shortcut_to_share {
    meta:
        description = "an Internet shortcut to a program on another machine"
        class = "shortcut"
    strings:
        $head = "[InternetShortcut]" nocase
        $where = /URL\s*=\s*(file:\/\/[^\/\s]|\\\\)[^\r\n]+\.(exe|lnk|cpl|vbs|js|jse|hta|url|zip|bat|cmd|scr|msi)/ nocase
    condition:
        filesize < 64KB and $head and $where
}

rule onenote_with_script {
    meta:
        description = "a OneNote file with a script or program in it"
    strings:
        $object = { E7 16 E3 BD 65 26 11 45 A4 C4 8D 4D 0B 7A 9E AC }
        $a = "WScript.Shell" nocase
        $b = "powershell" nocase
        $c = "<hta:application" nocase
        $d = "This program cannot be run in DOS mode"
        $e = "CreateObject(" nocase
        $f = "cmd /c" nocase
    condition:
        uint32be(0) == 0xe4525c7b and $object and any of ($a, $b, $c, $d, $e, $f)
}

rule search_protocol {
    meta:
        description = "a page that opens a folder of another machine (search-ms)"
        class = "html-smuggling"
    strings:
        $page = /<(html|script|body|meta|iframe)/ nocase
        $scheme = /search(-ms)?:(displayname|query)=/ nocase
        $where = /crumb=location:/ nocase
    condition:
        $page and $scheme and $where
}
