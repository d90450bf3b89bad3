# A container publishes 8080 on loopback, as most of them do.
{
  imports = [ ../cases/00-docs.nix ];
  virtualisation.oci-containers.containers.app = {
    image = "example/app";
    ports = [
      "127.0.0.1:8080:80/tcp"
      "53:53/udp"
      "9000"
    ];
  };
}
