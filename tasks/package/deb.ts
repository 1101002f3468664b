import { createHash } from "node:crypto";
import { layOut, type PackageFile, type Release, runTool } from "./tree.ts";

const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/** `dsign_0.1.0_amd64.deb` */
export const debName = ({ version, arch }: Release): string =>
  `dsign_${version}_${ARCHITECTURES[arch]}.deb`;

/** A package for Debian and Ubuntu. It has no scripts of a maintainer: nothing runs at its installation. */
export async function buildDeb(
  files: PackageFile[],
  release: Release,
  folder: string,
): Promise<string> {
  const { version, arch, epoch } = release;
  const size = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const control = `Package: dsign
Version: ${version}
Architecture: ${ARCHITECTURES[arch]}
Maintainer: D-Sign maintainers <maintainers@example.org>
Installed-Size: ${Math.ceil(size / 1024)}
Depends: libc6 (>= 2.27), libgcc-s1
Recommends: pcscd
Suggests: pinentry-gnome3 | pinentry-qt | pinentry
Section: utils
Priority: optional
Description: signs for web pages with the tokens of this computer
 Web pages ask D-Sign for signatures over a connection within the computer. It
 shows what will be signed in a window of its own, takes the PIN of the token
 (DSC dongle, smart card, key file) there, and gives the signature back.
`;
  const text = (path: string, content: string): PackageFile => ({
    path: `DEBIAN/${path}`,
    mode: 0o644,
    bytes: new TextEncoder().encode(content),
  });
  const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex"); // as dpkg -V checks
  const tree = [
    text("control", control),
    text(
      "conffiles",
      files.filter(({ isConfig }) => isConfig).map(({ path }) => `/${path}\n`).join(""),
    ),
    text("md5sums", files.map(({ path, bytes }) => `${md5(bytes)}  ${path}\n`).join("")),
    ...files,
  ];
  const output = `${folder}/${debName(release)}`;
  const stage = await Deno.makeTempDir({ prefix: "dsign-deb-" });
  try {
    await layOut(stage, tree, epoch);
    // Large files are already compressed; without compression, the bytes do not depend on a compressor's version.
    const flags = ["--root-owner-group", "--uniform-compression", "-Znone"];
    await runTool("dpkg-deb", "dpkg", [...flags, "--build", stage, output], {
      SOURCE_DATE_EPOCH: `${epoch}`,
    });
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
  return output;
}
