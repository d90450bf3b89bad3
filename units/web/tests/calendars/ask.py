"""Asks a CalDAV server for everything that clients may want: `ask.py URL ACCOUNT [HOST]`. Out: {feature: how it is supported}, as JSON.

In an environment with the packages of judges.txt. HOST is the name that the server is asked by, where the address is a number.
"""

import json
import logging
import sys
import warnings

import caldav
import caldav_server_tester

address, account, *host = sys.argv[1:]
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
headers = {"Host": host[0]} if host else {}
client = caldav.DAVClient(address, username=account, password="pass word", ssl_verify_cert=False, headers=headers)
checker = caldav_server_tester.ServerQuirkChecker(client)
checker.check_all()
report = json.loads(checker.report(return_what="json"))
print(json.dumps({name: value["support"] for name, value in report["features"].items()}))
