// What attacks on documents have in common. Each matches a whole file, an unpacked stream, or the
// source of a macro.

rule macro_downloads_and_runs {
    meta:
        description = "a macro that downloads a file and runs it"
    strings:
        $source = "Attribute VB_" nocase
        $get1 = "MSXML2.XMLHTTP" nocase
        $get2 = "Microsoft.XMLHTTP" nocase
        $get3 = "WinHttp.WinHttpRequest" nocase
        $get4 = "URLDownloadToFile" nocase
        $get5 = "ServerXMLHTTP" nocase
        $run1 = "ADODB.Stream" nocase
        $run2 = "WScript.Shell" nocase
        $run3 = "Shell.Application" nocase
        $run4 = /\bShell[ (]/ nocase
    condition:
        $source and any of ($get*) and any of ($run*)
}

rule macro_starts_powershell {
    meta:
        description = "a macro that starts PowerShell with hidden or coded commands"
    strings:
        $source = "Attribute VB_" nocase
        $shell = "powershell" nocase
        $how = /-(e|en|enc|encodedcommand|w(indowstyle)? +hidden|nop|noni|ep +bypass)\b/ nocase
    condition:
        $source and $shell and $how
}

rule macro_injects_code {
    meta:
        description = "a macro that writes machine code into memory"
    strings:
        $source = "Attribute VB_" nocase
        $a = "VirtualAlloc" nocase
        $b = "RtlMoveMemory" nocase
        $c = "CreateThread" nocase
        $d = "WriteProcessMemory" nocase
        $e = "EnumSystemLocales" nocase
    condition:
        $source and 2 of ($a, $b, $c, $d, $e)
}

rule rtf_equation_editor {
    meta:
        description = "RTF with a hidden object of the Equation Editor (CVE-2017-11882)"
    strings:
        // "Equation.3" in hexadecimal, as RTF carries objects.
        $class = "4571756174696f6e2e33" nocase
    condition:
        uint32be(0) == 0x7b5c7274 and $class
}

rule document_msdt {
    meta:
        description = "a link to the Windows troubleshooter that runs commands (CVE-2022-30190)"
    strings:
        $scheme = "ms-msdt:" nocase
        $what = /PCWDiagnostic|IT_BrowseForFile|IT_RebrowseForFile/ nocase
    condition:
        $scheme and $what
}
