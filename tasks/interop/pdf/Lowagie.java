// iText 2.1.7 and OpenPDF, which have the same API: signs PDFs, each as a new revision.
import com.lowagie.text.Rectangle;
import com.lowagie.text.pdf.*;
import java.io.*;
import java.nio.file.*;
import java.util.*;

class Lowagie {
  static final int SPACE = 12000;

  /** FOLDER of signer.pem, key.pem and chain.pem, then pairs of input and output. */
  public static void main(String[] args) throws Exception {
    for (int i = 1; i + 1 < args.length; i += 2) {
      try {
        sign(Path.of(args[0]), args[i], args[i + 1]);
        System.out.println("ok " + args[i + 1]);
      } catch (Exception | LinkageError e) {
        System.out.println("failed " + args[i + 1] + " " + e);
      }
    }
  }

  static void sign(Path keys, String from, String to) throws Exception {
    PdfReader reader = new PdfReader(from);
    FileOutputStream out = new FileOutputStream(to);
    PdfStamper stamper = PdfStamper.createSignature(reader, out, '\0', null, true);
    PdfSignatureAppearance look = stamper.getSignatureAppearance();
    look.setSignDate(new GregorianCalendar());
    look.setLayer2Text("signed");
    int y = 20 + 40 * reader.getAcroFields().getSignatureNames().size();
    look.setVisibleSignature(new Rectangle(20, y, 140, y + 30), 1, null);
    PdfSignature value = new PdfSignature(PdfName.ADOBE_PPKLITE, new PdfName("adbe.pkcs7.detached"));
    value.setDate(new PdfDate(look.getSignDate()));
    look.setCryptoDictionary(value);
    HashMap<PdfName, Integer> spaces = new HashMap<>();
    spaces.put(PdfName.CONTENTS, 2 * SPACE + 2);
    look.preClose(spaces);
    byte[] cms = cms(keys, look.getRangeStream().readAllBytes());
    PdfDictionary contents = new PdfDictionary();
    contents.put(PdfName.CONTENTS, new PdfString(Arrays.copyOf(cms, SPACE)).setHexWriting(true));
    look.close(contents);
  }

  static byte[] cms(Path keys, byte[] content) throws Exception {
    Process openssl = new ProcessBuilder("openssl", "cms", "-sign", "-binary", "-md", "sha256",
        "-signer", keys.resolve("signer.pem").toString(), "-inkey", keys.resolve("key.pem").toString(),
        "-certfile", keys.resolve("chain.pem").toString(), "-outform", "DER").start();
    try (OutputStream in = openssl.getOutputStream()) {
      in.write(content);
    }
    return openssl.getInputStream().readAllBytes();
  }
}
