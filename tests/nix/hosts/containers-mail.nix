# Mail runs in a container already.
{
  imports = [ ../cases/00-docs.nix ];
  virtualisation.oci-containers.containers.mailserver = {
    image = "docker.io/mailserver/docker-mailserver";
    ports = [
      "25:25"
      "993:993"
    ];
  };
}
