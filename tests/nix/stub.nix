# As much of nixpkgs' module system as the modules use, written from its manual, for machines without
# nixpkgs: declarations with types, priorities, mkIf, submodules, imports, and its two refusals, of an
# option that does not exist and of a value of the wrong type. `stub.nix { modules = [ ... ]; }` gives
# `config`, and throws what an assertion says.
{ modules }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    hasAttr
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    toString
    ;

  marked = kind: value: isAttrs value && value._type or null == kind;
  shown = path: concatStringsSep "." path;

  # Types: what they take, and what becomes of several definitions.
  one =
    path: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${shown path}' has conflicting definition values";
  plain = name: check: {
    inherit name check;
    merge = one;
  };
  types = rec {
    bool = plain "boolean" isBool;
    int = plain "signed integer" isInt;
    port = plain "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (
      value: isInt value && value >= 0 && value < 65536
    );
    ints.unsigned = plain "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
    either =
      a: b:
      types.oneOf [
        a
        b
      ];
    number = plain "number" (value: isInt value || isFloat value);
    str = plain "string" isString;
    package = plain "package" (value: isAttrs value && value ? outPath);
    externalPath = plain "path not in the store" (
      value: isString value && match "/.*" value != null && match "/nix/store/.*" value == null
    );
    strMatching =
      pattern: plain "string matching ${pattern}" (value: isString value && match pattern value != null);
    enum = values: plain "one of ${toString values}" (value: elem value values);
    oneOf = several: {
      name = concatStringsSep " or " (map (type: type.name) several);
      check = value: any (type: type.check value) several;
      merge = one;
    };
    nullOr = type: {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge = path: values: if all (value: value == null) values then null else type.merge path values;
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge = path: values: keyed (name: found: leaf (path ++ [ name ]) type found) values;
    };
    # Each definition is turned into what it stands for, if it stands for something.
    coercedTo = from: turn: to: {
      name = "${to.name} or ${from.name}";
      check = value: from.check value || to.check value;
      merge =
        path: values: checked path to (map (value: if from.check value then turn value else value) values);
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = isList;
      merge = path: values: map (value: checked path type [ value ]) (concatLists values);
    };
    submodule = declaration: {
      name = "submodule";
      check = isAttrs;
      merge = path: values: tree path declaration.options values;
    };
    # Options of NixOS, whose types are NixOS's business: sets are merged, lists joined.
    anything = {
      name = "anything";
      check = _: true;
      merge =
        path: values:
        if all isAttrs values && !(any (value: value ? outPath) values) then
          keyed (name: found: leaf (path ++ [ name ]) types.anything found) values
        else if any isList values then
          concatLists (map (value: if isList value then value else [ value ]) values)
        else
          one path values;
    };
  };
  checked =
    path: type: values:
    let
      wrong = filter (value: !type.check value) values;
    in
    if wrong == [ ] then
      type.merge path values
    else
      throw "A definition for option `${shown path}' is not of type `${type.name}'.";

  keyed =
    of: sets:
    let
      found = name: concatMap (set: if hasAttr name set then [ set.${name} ] else [ ]) sets;
      # What stands behind conditions that do not hold is not there.
      names = filter (name: concatMap discharged (found name) != [ ]) (concatMap attrNames sets);
    in
    listToAttrs (
      map (name: {
        inherit name;
        value = of name (found name);
      }) names
    );

  # A condition before a set is one before each of its values, so that names are known without it.
  pushed =
    value:
    if marked "merge" value then
      concatMap pushed value.contents
    else if marked "if" value then
      map (
        inner:
        mapAttrs (_: content: {
          _type = "if";
          inherit (value) condition;
          inherit content;
        }) inner
      ) (pushed value.content)
    else
      [ value ];
  discharged =
    value:
    if marked "if" value then if value.condition then discharged value.content else [ ] else [ value ];
  priority = value: if marked "override" value then value.priority else 100;
  leaf =
    path: type: definitions:
    let
      given = concatMap discharged definitions;
      strongest = foldl' (best: value: if priority value < best then priority value else best) 9999 given;
      kept = filter (value: priority value == strongest) given;
      values = map (value: if marked "override" value then value.content else value) kept;
    in
    if values == [ ] then
      throw "The option `${shown path}' was accessed but has no value defined. Try setting the option."
    else
      checked path type values;

  tree =
    path: options: definitions:
    let
      sets = concatMap pushed definitions;
      strangers = filter (name: !(hasAttr name options)) (concatMap attrNames sets);
      value =
        name: option:
        let
          here = path ++ [ name ];
          found = concatMap (set: if hasAttr name set then [ set.${name} ] else [ ]) sets;
          default =
            if option ? default then
              [
                {
                  _type = "override";
                  priority = 1500;
                  content = option.default;
                }
              ]
            else
              [ ];
        in
        if marked "option" option then leaf here option.type (found ++ default) else tree here option found;
    in
    if strangers == [ ] then
      mapAttrs value options
    else
      throw "The option `${shown (path ++ [ (head strangers) ])}' does not exist.";

  lib = {
    inherit types isAttrs isList;
    inherit (builtins)
      all
      any
      attrNames
      concatLists
      concatMap
      concatStringsSep
      elem
      elemAt
      filter
      head
      isString
      length
      mapAttrs
      ;
    mkOption = attrs: attrs // { _type = "option"; };
    mkEnableOption =
      name:
      lib.mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${name}.";
      };
    mkPackageOption =
      set: name: _:
      lib.mkOption {
        type = types.package;
        default = set.${name};
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkForce = content: {
      _type = "override";
      priority = 50;
      inherit content;
    };
    mkDefault = content: {
      _type = "override";
      priority = 1000;
      inherit content;
    };
    filterAttrs = keep: set: removeAttrs set (filter (name: !(keep name set.${name})) (attrNames set));
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    literalMD = text: text;
    id = value: value;
    count = wanted: list: length (filter wanted list);
    defaultTo = default: value: if value == null then default else value;
    nameValuePair = name: value: { inherit name value; };
    mapAttrs' = of: set: listToAttrs (map (name: of name set.${name}) (attrNames set));
    genAttrs = names: of: listToAttrs (map (name: lib.nameValuePair name (of name)) names);
    unique = foldl' (known: value: if elem value known then known else known ++ [ value ]) [ ];
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if isAttrs set && hasAttr (head path) set then
        lib.attrByPath (builtins.tail path) default set.${head path}
      else
        default;
    toLower = builtins.replaceStrings (lib.letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
      lib.letters "abcdefghijklmnopqrstuvwxyz"
    );
    letters = text: builtins.genList (at: builtins.substring at 1 text) (builtins.stringLength text);
    hasPrefix = start: text: builtins.substring 0 (builtins.stringLength start) text == start;
    hasSuffix =
      end: text:
      let
        from = builtins.stringLength text - builtins.stringLength end;
      in
      from >= 0 && builtins.substring from (-1) text == end;
    hasInfix = part: text: length (builtins.split (lib.quoted part) text) > 1;
    quoted = builtins.replaceStrings [ "." ] [ "[.]" ];
    removePrefix =
      start: text:
      if lib.hasPrefix start text then
        builtins.substring (builtins.stringLength start) (-1) text
      else
        text;
    removeSuffix =
      end: text:
      if lib.hasSuffix end text then
        builtins.substring 0 (builtins.stringLength text - builtins.stringLength end) text
      else
        text;
    concatMapStringsSep =
      between: of: list:
      concatStringsSep between (map of list);
    escapeShellArgs = concatStringsSep " ";
    toIntBase10 = builtins.fromJSON;
    versionOlder = a: b: builtins.compareVersions a b < 0;
    getVersion = package: package.version;
    optional = condition: value: if condition then [ value ] else [ ];
    optionalString = condition: text: if condition then text else "";
    optionals = condition: values: if condition then values else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    imap0 = of: list: builtins.genList (index: of index (elemAt list index)) (length list);
    mapAttrsToList = of: set: map (name: of name set.${name}) (attrNames set);
    subtractLists = known: list: filter (value: !(elem value known)) list;
    getExe' = package: name: "${package.outPath}/bin/${name}";
    getName = package: package.pname;
    getExe = package: "${package.outPath}/bin/${package.meta.mainProgram}";
  };

  package = pname: mainProgram: {
    inherit pname;
    version = "0.15";
    outPath = "/nix/store/${pname}";
    meta = { inherit mainProgram; };
  };
  own = name: {
    inherit name;
    value = package name name;
  };
  pkgs =
    listToAttrs (
      map own (
        [ "mailkiln" ]
        ++ map (name: (import ../../units).${name}.build.package) (attrNames (import ../../units))
      )
    )
    // {
      mailkiln-mail-server = package "mailkiln-mail-server" "mailkiln-mail-server" // {
        notifiesReload = true;
      };
      stalwart_0_15 = package "stalwart" "stalwart";
      stalwart_0_16 = package "stalwart" "stalwart" // {
        version = "0.16.11";
      };
      nftables = package "nftables" "nft";
      writeText = name: _: package name name;
      formats.toml = _: {
        generate = _: builtins.toJSON;
      };
      runCommand =
        name: _: script:
        (package name name) // { inherit script; };
    };

  anything = lib.mkOption {
    type = types.anything;
    default = { };
  };
  several = lib.mkOption {
    type = types.listOf types.anything;
    default = [ ];
  };
  nixos.options = {
    assertions = several;
    warnings = several;
    environment.etc = anything;
    environment.systemPackages = several;
    networking.enableIPv6 = lib.mkOption {
      type = types.bool;
      default = true;
    };
    time.timeZone = lib.mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    programs.msmtp = anything;
    system.stateVersion = anything;
    networking.firewall = {
      enable = lib.mkOption {
        type = types.bool;
        default = true;
      };
      allowedTCPPorts = several;
    };
    security.acme.certs = anything;
    services.resolved.enable = lib.mkOption {
      type = types.bool;
      default = false;
    };
    services.resolved.settings = anything;
    # As newer releases have it.
    services.resolved.extraConfig = lib.mkOption {
      type = types.str;
      default = throw "services.resolved.extraConfig can no longer be used";
    };
    services.postfix = anything;
    services.dovecot2 = anything;
    # Options of their own: what is set must not hang on a name that is asked for.
    services.caddy.enable = lib.mkOption {
      type = types.bool;
      default = false;
    };
    services.caddy.virtualHosts = anything;
    services.calibre-web = anything;
    services.traefik = anything;
    virtualisation = anything;
    services.clamav = {
      daemon.enable = lib.mkOption {
        type = types.bool;
        default = false;
      };
      daemon.settings = anything;
      updater.enable = lib.mkOption {
        type = types.bool;
        default = false;
      };
    };
    services.nginx.enable = lib.mkOption {
      type = types.bool;
      default = false;
    };
    services.nginx.virtualHosts = anything;
    services.stalwart.enable = lib.mkOption {
      type = types.bool;
      default = false;
    };
    systemd = {
      package = lib.mkOption {
        type = types.package;
        default = package "systemd" "systemctl";
      };
      services = anything;
      paths = anything;
      timers = anything;
      packages = several;
      sockets = anything;
      tmpfiles.settings = anything;
    };
    users = anything;
  };

  load =
    module:
    let
      opened = if isAttrs module || isFunction module then module else import module;
      called = if isFunction opened then opened { inherit config lib pkgs; } else opened;
      parts =
        if called ? config || called ? options || called ? imports then called else { config = called; };
    in
    [ parts ] ++ concatMap load (parts.imports or [ ]);
  loaded = concatMap load ([ nixos ] ++ modules);

  declared = foldl' united { } (map (module: module.options or { }) loaded);
  united =
    a: b:
    a
    // mapAttrs (
      name: value:
      if hasAttr name a && !(marked "option" value) && !(marked "option" a.${name}) then
        united a.${name} value
      else
        value
    ) b;

  config = tree [ ] declared (map (module: module.config or { }) loaded);
  failed = filter (entry: !entry.assertion) config.assertions;
in
{
  config =
    if failed == [ ] then
      config
    else
      throw "Failed assertions: ${concatStringsSep "; " (map (entry: entry.message) failed)}";
}
