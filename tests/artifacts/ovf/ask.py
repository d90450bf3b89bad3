"""Validates the OVF descriptor on standard input by the schemas beside this file, and prints what is wrong with it.

The schemas are the DMTF's: DSP8023 1.0.0 (the envelope), common.xsd (DSP8004) and two of CIM 2.22; xml.xsd is the W3C's. Their imports name no
place, so that nothing is fetched. DMTF documents may be reproduced with attribution, as the notice in DSP8023.xsd says.
"""

import pathlib
import sys

import xmlschema

HERE = pathlib.Path(__file__).resolve().parent
CIM = "http://schemas.dmtf.org/wbem/wscim/1"
LOCATIONS = {
    "http://www.w3.org/XML/1998/namespace": "xml",
    f"{CIM}/common": "common",
    f"{CIM}/cim-schema/2/CIM_VirtualSystemSettingData": "CIM_VirtualSystemSettingData",
    f"{CIM}/cim-schema/2/CIM_ResourceAllocationSettingData": "CIM_ResourceAllocationSettingData",
}


def main():
    locations = [(namespace, str(HERE / f"{name}.xsd")) for namespace, name in LOCATIONS.items()]
    schema = xmlschema.XMLSchema(str(HERE / "DSP8023.xsd"), locations=locations, allow="local")
    mistakes = [f"{mistake.path}: {mistake.reason}" for mistake in schema.iter_errors(sys.stdin.read())]
    sys.exit("\n".join(mistakes) or None)


main()
