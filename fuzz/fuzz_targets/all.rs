//! Every fuzz target in one program, which is linked once: `FUZZ_TARGET=deb` in the environment chooses one.
//!
//! In: the name of a target, and libFuzzer's own arguments. Without a name it prints those that there are.
#![no_main]

use std::process;
use std::sync::OnceLock;

/// A parser of foreign bytes, which must neither panic nor allocate without bound.
type Parser = fn(&[u8]);

/// Name and parser; above each, what it reads.
const TARGETS: &[(&str, Parser)] = &[
    // Settings and state of the ACME client, and requests to the port of its challenge.
    ("acme", mailkiln_acme::fuzz::acme),
    // `appliance.json`.
    ("appliance", mailkiln_agent::fuzz::appliance),
    // apt's lists of sources.
    ("apt_sources", mailkiln_fetch::fuzz::apt_sources),
    // Block maps of bmap-tools.
    ("bmap", mailkiln_format::fuzz::bmap),
    // `boot.json` of a NixOS system.
    ("boot_json", mailkiln_closure::fuzz::boot_json),
    // `Cargo.lock`.
    ("cargo_lock", mailkiln_compile::fuzz::cargo_lock),
    // cargo's graph and messages.
    ("cargo_output", mailkiln_compile::fuzz::cargo_output),
    // Certificates, PEM.
    ("certificate", mailkiln_agent::fuzz::certificate),
    // First boot data: answers of metadata services, user-data, volumes.
    ("cloud", mailkiln_agent::fuzz::cloud),
    // The kernel command line.
    ("cmdline", mailkiln_init::fuzz::cmdline),
    // `copyright` of a package.
    ("copyright", mailkiln_sources::fuzz::copyright),
    // A `.deb`.
    ("deb", mailkiln_sources::fuzz::deb),
    // A disk, as records of its sectors.
    ("disk", mailkiln_image::fuzz::disk),
    // DKIM records in a zone file.
    ("dkim_records", mailkiln_dns::fuzz::dkim_records),
    // A name server's answer, and `resolv.conf`.
    ("dns", mailkiln_agent::fuzz::dns),
    // dpkg's status file.
    ("dpkg_status", mailkiln_image::fuzz::dpkg_status),
    // A FAT32 volume, as records of its sectors.
    ("fat", mailkiln_image::fuzz::fat),
    // Windows cabinets.
    ("filter_cab", mailkiln_inspect::fuzz::cab),
    // gzip, bzip2, xz, lzma and zstd files.
    ("filter_compressed", mailkiln_inspect::fuzz::compressed),
    // cpio and ar archives.
    ("filter_cpio", mailkiln_inspect::fuzz::cpio),
    // Web pages.
    ("filter_html", mailkiln_inspect::fuzz::html),
    // Disc images.
    ("filter_iso", mailkiln_inspect::fuzz::iso),
    // A mail message.
    ("filter_message", mailkiln_inspect::fuzz::message),
    // A mail server that asks the filter.
    ("filter_milter", mailkiln_filter::fuzz::milter),
    // OLE compound files.
    ("filter_ole", mailkiln_inspect::fuzz::ole),
    // OneNote sections.
    ("filter_onenote", mailkiln_inspect::fuzz::onenote),
    // PDF.
    ("filter_pdf", mailkiln_inspect::fuzz::pdf),
    // RAR archives.
    ("filter_rar", mailkiln_inspect::fuzz::rar),
    // A message as two readers see it.
    ("filter_readers", mailkiln_inspect::fuzz::readers),
    // A client of the filter's API, and a worker that was taken over.
    ("filter_replies", mailkiln_filter::fuzz::replies),
    // RTF.
    ("filter_rtf", mailkiln_inspect::fuzz::rtf),
    // 7z archives.
    ("filter_sevenzip", mailkiln_inspect::fuzz::sevenzip),
    // Streams of old documents.
    ("filter_streams", mailkiln_inspect::fuzz::streams),
    // Messages whose parts the filter takes out.
    ("filter_strip", mailkiln_filter::fuzz::strip),
    // Tar archives, as the filter opens them.
    ("filter_tar", mailkiln_inspect::fuzz::tar),
    // Outlook's `winmail.dat`.
    ("filter_tnef", mailkiln_inspect::fuzz::tnef),
    // Macros' compressed sources.
    ("filter_vba", mailkiln_inspect::fuzz::vba),
    // Files wrapped for the way, signed messages, documents in one file.
    ("filter_wrapped", mailkiln_inspect::fuzz::wrapped),
    // Parts of XML documents.
    ("filter_xml", mailkiln_inspect::fuzz::document_xml),
    // Zip archives and the documents that are one.
    ("filter_zip", mailkiln_inspect::fuzz::zip),
    // Text files of packages.
    ("fixups", mailkiln_tree::fuzz::fixups),
    // A fragment of `mail.toml` in user-data.
    ("fragment", mailkiln_spec::fuzz::fragment),
    // A partition table, as init reads it.
    ("gpt", mailkiln_init::fuzz::gpt),
    // Files of GRUB's package.
    ("grub", mailkiln_image::fuzz::grub),
    // Which format an image file is of.
    ("image_format", mailkiln_format::fuzz::format_of),
    // Lines of an IMAP server.
    ("imap", mailkiln_agent::fuzz::imap),
    // A disk compressed with gzip.
    ("img_gz", mailkiln_format::fuzz::img_gz),
    // A disk compressed with xz.
    ("img_xz", mailkiln_format::fuzz::img_xz),
    // A disk compressed with zstd.
    ("img_zst", mailkiln_format::fuzz::img_zst),
    // `InRelease`.
    ("in_release", mailkiln_lock::fuzz::in_release),
    // A kernel module.
    ("kernel_module", mailkiln_tree::fuzz::module),
    // An OpenPGP certificate.
    ("keyring", mailkiln_lock::fuzz::keyring),
    // The cached index of a layer.
    ("layer", mailkiln_sources::fuzz::layer),
    // `mailkiln.lock`.
    ("lock", mailkiln_lock::fuzz::lock),
    // `mail.toml`.
    ("mail_toml", mailkiln_spec::fuzz::mail_toml),
    // The DNS records of a `mail.toml`.
    ("mail_toml_dns", mailkiln_dns::fuzz::mail_toml),
    // A mail.toml, up to the files that it puts into an image.
    ("mail_toml_files", mailkiln_assemble::fuzz::mail_toml),
    // depmod's indexes, as init reads them.
    ("module_indexes", mailkiln_init::fuzz::modules),
    // A NAR.
    ("nar", mailkiln_nix_store::fuzz::nar),
    // The record of a store path, in a cache.
    ("narinfo", mailkiln_nix_store::fuzz::narinfo),
    // `nix-cache-info`, keys, and what a program is linked with.
    ("nix_texts", mailkiln_nix_store::fuzz::texts),
    // An archive for Oracle Cloud.
    ("oci", mailkiln_format::fuzz::oci),
    // An OVA.
    ("ova", mailkiln_format::fuzz::ova),
    // A pack of compressed contents.
    ("pack", mailkiln_squashfs::fuzz::pack),
    // `Packages`.
    ("packages", mailkiln_lock::fuzz::packages),
    // `Packages.xz`.
    ("packages_xz", mailkiln_lock::fuzz::packages_xz),
    // Requests to the page where passwords are changed.
    ("password_page", mailkiln_agent::fuzz::page),
    // A patch and what it is applied to.
    ("patch", mailkiln_compile::fuzz::patch),
    // `/proc/net/tcp`.
    ("ports", mailkiln_agent::fuzz::ports),
    // An account, as the mail server's API has it.
    ("principal", mailkiln_agent::fuzz::principal),
    // A qcow2 image.
    ("qcow2", mailkiln_format::fuzz::qcow2),
    // `Depends` and its like.
    ("relations", mailkiln_lock::fuzz::relations),
    // `Release`.
    ("release", mailkiln_lock::fuzz::release),
    // The file of Debian's security tracker.
    ("security_tracker", mailkiln_lock::fuzz::tracker),
    // Seeds as the appliance reads them from the card.
    ("seed", mailkiln_agent::fuzz::seed),
    // Lists of passwords, and what an image says of itself.
    ("seed_inputs", mailkiln_seed::fuzz::seed_inputs),
    // The place of a seed on a boot partition, as the appliance looks for it.
    ("seed_place", mailkiln_agent::fuzz::seed_place),
    // The seed.toml of a seed.
    ("seed_toml", mailkiln_seed::fuzz::seed_toml),
    // minisign's keys and signatures.
    ("signature", mailkiln_signature::fuzz),
    // A squashfs.
    ("squashfs", mailkiln_squashfs::fuzz::squashfs),
    // The tar inside of a `.deb`.
    ("tar", mailkiln_sources::fuzz::members),
    // An archive for Google Compute Engine.
    ("tar_gz", mailkiln_format::fuzz::tar_gz),
    // A file of `images/`.
    ("target", mailkiln_spec::fuzz::target),
    // A Unified Kernel Image.
    ("uki", mailkiln_image::fuzz::uki),
    // The record of a unit, in a unit cache.
    ("unit_record", mailkiln_unit_cache::fuzz::record),
    // A verity superblock, as the builder reads it.
    ("verity", mailkiln_image::fuzz::superblock),
    // A verity superblock, as init reads it.
    ("verity_init", mailkiln_init::fuzz::superblock),
    // A VHD, fixed or dynamic.
    ("vhd", mailkiln_format::fuzz::vhd),
    // A VHDX.
    ("vhdx", mailkiln_format::fuzz::vhdx),
    // A VMDK.
    ("vmdk", mailkiln_format::fuzz::vmdk),
    // `wanted.toml`.
    ("wanted", mailkiln_lock::fuzz::wanted),
    // A question of Outlook's to Autodiscover.
    ("web_autodiscover", mailkiln_web::fuzz::autodiscover),
    // Style sheets and attributes in mail.
    ("web_css", mailkiln_letter::fuzz::fuzz_css),
    // Forms of the webmail.
    ("web_form", mailkiln_web::fuzz::form),
    // Web pages in mail, as the webmail shows them.
    ("web_html", mailkiln_letter::fuzz::fuzz_html),
    // An IMAP or ManageSieve server that the webmail asks.
    ("web_imap", mailkiln_servers::fuzz),
    // A message that the webmail shows and answers.
    ("web_message", mailkiln_letter::fuzz::fuzz_message),
    // Heads of requests that the web unit hands on to the mail server.
    ("web_proxy", mailkiln_web::fuzz::proxy),
    // Filters of an account.
    ("web_sieve", mailkiln_letter::fuzz::fuzz_sieve),
];

static CHOSEN: OnceLock<Parser> = OnceLock::new();

/// The parser that the environment names; without one, the names on standard output and the end of the program.
fn chosen() -> Parser {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_, parser)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        for (known, _) in TARGETS {
            println!("{known}");
        }
        eprintln!("no target is called `{name}`; FUZZ_TARGET=NAME chooses one of the above");
        process::exit(2);
    };
    *parser
}

libfuzzer_sys::fuzz_target!(init: { CHOSEN.get_or_init(chosen); }, |bytes: &[u8]| CHOSEN.get_or_init(chosen)(bytes));
