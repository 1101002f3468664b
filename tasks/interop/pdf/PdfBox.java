// PDFBox: signs PDFs, each as a new revision.
import java.io.*;
import java.nio.file.*;
import java.util.*;
import org.apache.pdfbox.Loader;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.*;

class PdfBox {
  /** FOLDER of signer.pem, key.pem and chain.pem, then pairs of input and output. */
  public static void main(String[] args) throws Exception {
    for (int i = 1; i + 1 < args.length; i += 2) {
      try (PDDocument document = Loader.loadPDF(new File(args[i]));
          FileOutputStream out = new FileOutputStream(args[i + 1])) {
        PDSignature value = new PDSignature();
        value.setFilter(PDSignature.FILTER_ADOBE_PPKLITE);
        value.setSubFilter(PDSignature.SUBFILTER_ADBE_PKCS7_DETACHED);
        value.setSignDate(Calendar.getInstance());
        SignatureOptions options = new SignatureOptions();
        options.setPreferredSignatureSize(12000);
        document.addSignature(value, content -> cms(Path.of(args[0]), content.readAllBytes()), options);
        document.saveIncremental(out);
        System.out.println("ok " + args[i + 1]);
      } catch (Exception | LinkageError e) {
        System.out.println("failed " + args[i + 1] + " " + e);
      }
    }
  }

  static byte[] cms(Path keys, byte[] content) throws IOException {
    Process openssl = new ProcessBuilder("openssl", "cms", "-sign", "-binary", "-md", "sha256",
        "-signer", keys.resolve("signer.pem").toString(), "-inkey", keys.resolve("key.pem").toString(),
        "-certfile", keys.resolve("chain.pem").toString(), "-outform", "DER").start();
    try (OutputStream in = openssl.getOutputStream()) {
      in.write(content);
    }
    return openssl.getInputStream().readAllBytes();
  }
}
