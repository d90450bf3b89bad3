# What units/*/unit.toml say of the units, by their names: one that is new changes no other file.
let
  inherit (builtins)
    attrNames
    filter
    fromTOML
    listToAttrs
    pathExists
    readDir
    readFile
    ;
  file = name: ./. + "/${name}/unit.toml";
  is_unit = name: (readDir ./.).${name} == "directory" && pathExists (file name);
in
listToAttrs (
  map (name: {
    inherit name;
    value = fromTOML (readFile (file name));
  }) (filter is_unit (attrNames (readDir ./.)))
)
