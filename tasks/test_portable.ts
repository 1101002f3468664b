/**
 * `deno task test:portable`: the tests that need nothing but Deno. CI runs them on macOS and Windows; `deno task test`,
 * which needs OpenSSL, browsers, PKCS#11 modules and more, includes them.
 */
const ROOMS = ["words", "protocol", "formats", "web", "pkcs11_ffi", "windows_ffi"];

/** Tests in these rooms that compare with other programs, or load a driver. */
export const NEED_PROGRAMS = [
  "formats/cms/archive_test.ts",
  "formats/cms/gpgsm_test.ts",
  "formats/cms/openssl_test.ts",
  "formats/cms/timestamp_test.ts",
  "formats/pades/appearance_test.ts",
  "formats/pades/drawn_test.ts",
  "formats/pades/prepare_test.ts",
  "formats/pades/tagged_test.ts",
  "formats/pdf/crypt_test.ts",
  "formats/pdf/pictures_test.ts",
  "formats/verify/attacks_test.ts",
  "formats/verify/cms_kinds_test.ts",
  "formats/verify/foreign_test.ts",
  "formats/verify/xml_kinds_test.ts",
  "formats/x509/ocsp_test.ts",
  "formats/x509/path_openssl_test.ts",
  "formats/xml/c14n_test.ts",
  "formats/xml/xades_test.ts",
  "pkcs11_ffi/abi_test.ts",
  "pkcs11_ffi/client_test.ts",
  "pkcs11_ffi/generate_test.ts",
  "pkcs11_ffi/modules_test.ts",
];

/** The portable tests' files. Named one by one: `deno test` forgets `--ignore` for some lists of folders. */
export function portableTests(): string[] {
  const root = new URL("..", import.meta.url);
  const files = (folder: string): string[] =>
    [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${folder}/${name}`) : [`${folder}/${name}`]
    );
  return ROOMS.flatMap(files)
    .filter((file) => /_test\.tsx?$/.test(file) && !NEED_PROGRAMS.includes(file)).sort();
}

if (import.meta.main) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...portableTests()],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  Deno.exit(code);
}
