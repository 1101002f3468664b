import { layOut, type PackageFile, type Release, runTool } from "./tree.ts";

const ARCHITECTURES = { x64: "x86_64", arm64: "aarch64" };

/** `dsign-0.1.0-1.x86_64.rpm` */
export const rpmName = ({ version, arch }: Release): string =>
  `dsign-${version}-1.${ARCHITECTURES[arch]}.rpm`;

/** A package for Fedora, RHEL, openSUSE and their like, without scripts. */
export async function buildRpm(
  files: PackageFile[],
  release: Release,
  folder: string,
): Promise<string> {
  const { version, arch, epoch } = release;
  const stage = await Deno.makeTempDir({ prefix: "dsign-rpm-" });
  try {
    await layOut(`${stage}/tree`, files, epoch);
    const list = files.map(({ path, mode, isConfig }) =>
      `${isConfig ? "%config(noreplace) " : ""}%attr(${mode.toString(8)},root,root) /${path}`
    );
    const spec = `Name: dsign
Version: ${version}
Release: 1
Summary: Signs for web pages with the tokens of this computer
License: Apache-2.0
BuildArch: ${ARCHITECTURES[arch]}
AutoReqProv: no
Requires: /bin/sh, coreutils, gzip, tar, libc.so.6()(64bit), libgcc_s.so.1()(64bit)
Recommends: pcsc-lite

%description
Web pages ask D-Sign for signatures over a connection within the computer. It
shows what will be signed in a window of its own, takes the PIN of the token
(DSC dongle, smart card, key file) there, and gives the signature back.

%install
cp -a ${stage}/tree/. %{buildroot}/

%files
${list.join("\n")}
`;
    await Deno.writeTextFile(`${stage}/dsign.spec`, spec);
    const macros = {
      _topdir: stage,
      _rpmdir: `${stage}/out`,
      _rpmfilename: "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
      _dbpath: `${stage}/db`,
      _buildhost: "localhost",
      use_source_date_epoch_as_buildtime: "1",
      clamp_mtime_to_source_date_epoch: "1",
      // nothing is stripped, compressed or looked into: the files are finished
      __os_install_post: "%{nil}",
      debug_package: "%{nil}",
      _build_id_links: "none",
      _binary_payload: "w.ufdio",
    };
    const defines = Object.entries(macros).flatMap(([name, value]) => [
      "--define",
      `${name} ${value}`,
    ]);
    const target = ["--target", `${ARCHITECTURES[arch]}-linux`];
    await runTool("rpmbuild", "rpm", [...defines, ...target, "-bb", `${stage}/dsign.spec`], {
      SOURCE_DATE_EPOCH: `${epoch}`,
    });
    const output = `${folder}/${rpmName(release)}`;
    await Deno.copyFile(`${stage}/out/${rpmName(release)}`, output);
    return output;
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}
