# A small system that looks like NixOS, from Debian packages that the lock pins: what tests/closure builds with real Nix.
# `arch` is that of the system; nothing of its packages is run while it is built.
{
  arch,
  # Files.
  kernelPackages,
  userlandPackages,
  # How many files the system's largest store path has.
  many ? 0,
}:
let
  run =
    name: environment: script:
    derivation (
      {
        inherit name arch;
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [
          "-euc"
          script
        ];
        PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
        LC_ALL = "C";
        # No permission but those that a store keeps is asked for.
        unpack = "tar --extract --no-same-owner --no-same-permissions";
        triplet = "${arch}-linux-gnu";
        folder = if arch == "x86_64" then "lib64" else "lib";
        linker = if arch == "x86_64" then "ld-linux-x86-64.so.2" else "ld-linux-aarch64.so.1";
      }
      // environment
    );
  deb = file: builtins.path { path = file; name = "package.deb"; };

  kernel = run "linux-1" { debs = map deb kernelPackages; } ''
    mkdir $out tree
    for deb in $debs; do dpkg-deb --fsys-tarfile $deb | $unpack -C tree; done
    cp tree/boot/vmlinuz-* $out/${if arch == "x86_64" then "bzImage" else "Image"}
    # What the initrd needs of what is no part of the kernel itself, in the order in which it is loaded.
    mkdir $out/modules
    number=0
    for name in virtio_blk crc32c_generic crc16 mbcache jbd2 ext4; do
      : $((number += 1))
      for module in $(find tree -name "$name.ko.xz"); do unxz --stdout $module >$out/modules/$number-$name.ko; done
    done
    # Of the boards that Mailkiln knows.
    for folder in tree/usr/lib/linux-image-*/; do
      for maker in allwinner broadcom rockchip; do
        if [ -d $folder$maker ]; then mkdir -p $out/dtbs && cp -r $folder$maker $out/dtbs/; fi
      done
    done
  '';

  userland = run "userland-1" { debs = map deb userlandPackages; } ''
    mkdir -p $out/usr/bin $out/usr/sbin $out/usr/lib
    for name in bin sbin lib; do ln -s usr/$name $out/$name; done
    for deb in $debs; do
      dpkg-deb --fsys-tarfile $deb | $unpack -C $out --keep-directory-symlink --exclude ./usr/share/doc --exclude ./usr/share/man --exclude ./usr/share/locale
    done
    ln -sfn dash $out/usr/bin/sh
  '';

  # What a store holds in the ways that file systems and archives find hard. It refers to itself.
  cases = run "cases-1" { } ''
    mkdir -p $out/bin "$out/a folder/b" $out/empty-folder
    : >$out/empty
    printf '#!/bin/sh\necho %s\n' $out >$out/bin/itself
    chmod 755 $out/bin/itself
    printf upper >$out/Name
    printf lower >$out/name
    printf x >"$out/a folder/grün"
    printf x >$out/$(printf 'n%.0s' $(seq 255))
    ln -s ../name "$out/a folder/relative"
    ln -s $out/bin/itself $out/absolute
    ln -s nowhere $out/dangling
    ln -s $(printf '../%.0s' $(seq 300))nowhere $out/far
    head -c 5000000 /dev/zero | tr '\0' z >$out/large
    i=0; while [ $i -lt ${toString many} ]; do : $((i += 1)); echo $i; done | split -l 1 -a 6 - "$out/a folder/b/file-"
  '';

  # The initrd's programs and the libraries that they want, and a script in place of NixOS's stage 1.
  initrd = run "initrd-1" { inherit kernel userland; } ''
    mkdir -p $out root/bin root/dev root/proc root/run root/sys root/new root/$folder root/usr/lib/$triplet
    want() {
      readelf -d $1 | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
        [ ! -e root/usr/lib/$triplet/$library ] || continue
        cp -L $userland/usr/lib/$triplet/$library root/usr/lib/$triplet/
        want root/usr/lib/$triplet/$library
      done
    }
    for name in dash mount findfs switch_root insmod sleep mkdir ln; do
      program=$(readlink -f $userland/usr/sbin/$name || true)
      [ -e "$program" ] || program=$(readlink -f $userland/usr/bin/$name)
      cp "$program" root/bin/$name
      want root/bin/$name
    done
    # Debian's programs look for the loader here.
    cp -L $userland/usr/lib/$triplet/$linker root/$folder/
    cp -r $kernel/modules root/
    sed -e "s|@userland@|$userland|g" -e "s|@folder@|$folder|g" -e "s|@linker@|$linker|g" -e "s|@triplet@|$triplet|g" ${./stage-1} >root/init
    chmod 755 root/init
    (cd root && find . | sort | cpio --quiet --reproducible -R 0:0 -o -H newc) >$out/initrd
  '';

  parameters = [
    "console=${if arch == "x86_64" then "ttyS0,115200n8" else "ttyAMA0"}"
    "panic=-1"
    "loglevel=4"
  ];
in
run "nixos-system-toy-1" { inherit kernel userland cases initrd; } ''
  mkdir $out
  sed -e "s|@userland@|$userland|g" -e "s|@cases@|$cases|g" -e "s|@out@|$out|g" ${./stage-2} >$out/init
  chmod 755 $out/init
  ln -s $kernel/*Image $out/kernel
  ln -s $initrd/initrd $out/initrd
  ln -s $userland $out/sw
  if [ -d $kernel/dtbs ]; then ln -s $kernel/dtbs $out/dtbs; fi
  printf '%s' '${toString parameters}' >$out/kernel-params
  printf 25.11.toy >$out/nixos-version
  printf '%s-linux' $arch >$out/system
  cat >$out/boot.json <<END
  {
    "org.nixos.bootspec.v1": {
      "init": "$out/init",
      "initrd": "$out/initrd",
      "kernel": "$out/kernel",
      "kernelParams": ${builtins.toJSON parameters},
      "label": "NixOS Toy 25.11.toy (Linux 1)",
      "system": "$arch-linux",
      "toplevel": "$out"
    },
    "org.nixos.specialisation.v1": {}
  }
  END
''
