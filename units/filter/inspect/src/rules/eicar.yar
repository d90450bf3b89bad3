rule eicar_test_file {
    meta:
        description = "EICAR test file"
    strings:
        // In hexadecimal, so that this file is not one itself.
        $text = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 45 49 43 41 52 }
    condition:
        $text in (0..1024)
}
