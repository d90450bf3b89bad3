{ imports = [ ./00-docs.nix ]; services.mailkiln.webServer = "nginx"; services.mailkiln.ports.api = 18080; services.mailkiln.resolver = [ "127.0.0.1" ]; }
