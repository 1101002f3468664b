// EU DSS: signs PDFs, each as a new revision; or judges them.
import eu.europa.esig.dss.diagnostic.SignatureWrapper;
import eu.europa.esig.dss.enumerations.*;
import eu.europa.esig.dss.model.*;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.pades.*;
import eu.europa.esig.dss.pades.signature.PAdESService;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.token.*;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import java.io.*;
import java.nio.file.*;
import java.security.KeyStore.PasswordProtection;
import java.util.*;

class Dss {
  /** "sign" FOLDER, pairs of input and output; or "judge" ROOT.pem FILE… */
  public static void main(String[] args) throws Exception {
    if (args[0].equals("sign")) sign(args);
    else judge(args);
  }

  static void sign(String[] args) throws Exception {
    PAdESService service = new PAdESService(new CommonCertificateVerifier());
    try (Pkcs12SignatureToken token = new Pkcs12SignatureToken(
        Path.of(args[1], "signer.p12").toFile(), new PasswordProtection("interop".toCharArray()))) {
      DSSPrivateKeyEntry key = token.getKeys().get(0);
      for (int i = 2; i + 1 < args.length; i += 2) {
        try {
          PAdESSignatureParameters how = new PAdESSignatureParameters();
          how.setSignatureLevel(SignatureLevel.PAdES_BASELINE_B);
          how.setDigestAlgorithm(DigestAlgorithm.SHA256);
          how.setSigningCertificate(key.getCertificate());
          how.setCertificateChain(key.getCertificateChain());
          how.setContentSize(12000);
          DSSDocument document = new FileDocument(args[i]);
          ToBeSigned data = service.getDataToSign(document, how);
          SignatureValue value = token.sign(data, DigestAlgorithm.SHA256, key);
          service.signDocument(document, how, value).save(args[i + 1]);
          System.out.println("ok " + args[i + 1]);
        } catch (Exception | LinkageError e) {
          System.out.println("failed " + args[i + 1] + " " + e);
        }
      }
    }
  }

  static void judge(String[] args) throws Exception {
    CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
    trusted.addCertificate(DSSUtils.loadCertificate(new File(args[1])));
    for (int i = 2; i < args.length; i++) {
      CommonCertificateVerifier verifier = new CommonCertificateVerifier();
      verifier.setTrustedCertSources(trusted);
      String said;
      try {
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(args[i]));
        validator.setCertificateVerifier(verifier);
        StringJoiner all = new StringJoiner(",");
        for (SignatureWrapper each : validator.validateDocument().getDiagnosticData().getSignatures()) {
          // Whether the test certificates were revoked DSS is not told, so its indication says nothing here.
          int undefined = each.getPdfUndefinedChanges().size();
          all.add(!each.isSignatureIntact() || !each.isSignatureValid() ? "broken"
              : undefined > 0 ? undefined + " undefined changes" : "PASSED");
        }
        said = all.toString();
      } catch (Exception | LinkageError e) {
        said = "error " + e;
      }
      System.out.println(args[i] + "\t" + said);
    }
  }
}
