// @signpdf for Node: signs PDFs, each as a new revision. FOLDER of signer.p12, then pairs of input and output.
import { readFileSync, writeFileSync } from "node:fs";

// Installed by the task, beside this file's copy; no dependency of the product.
const load = (name) => import(`@signpdf/${name}`);
const { plainAddPlaceholder } = await load("placeholder-plain");
const { P12Signer } = await load("signer-p12");
const { default: signpdf } = await load("signpdf");

const [folder, ...paths] = process.argv.slice(2);
const signer = new P12Signer(readFileSync(`${folder}/signer.p12`), { passphrase: "interop" });
for (let i = 0; i + 1 < paths.length; i += 2) {
  try {
    const pdfBuffer = plainAddPlaceholder({
      pdfBuffer: readFileSync(paths[i]),
      reason: "interop",
      contactInfo: "",
      name: "",
      location: "",
      signatureLength: 12000,
    });
    writeFileSync(paths[i + 1], await signpdf.default.sign(pdfBuffer, signer));
    console.log("ok", paths[i + 1]);
  } catch (error) {
    console.log("failed", paths[i + 1], String(error).replaceAll("\n", " "));
  }
}
