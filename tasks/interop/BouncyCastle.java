import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** Bouncy Castle on CMS: arguments FILE or FILE=CONTENT; one line "valid|invalid FILE" for each. */
public class BouncyCastle {
  public static void main(String[] arguments) throws Exception {
    java.security.Security.addProvider(new BouncyCastleProvider());
    for (String argument : arguments) {
      String[] names = argument.split("=", 2);
      String verdict;
      try {
        verdict = check(names) ? "valid" : "invalid";
      } catch (Exception e) {
        verdict = "invalid (" + e.getMessage() + ")";
      }
      System.out.println(verdict + "\t" + names[0]);
    }
  }

  @SuppressWarnings("unchecked")
  static boolean check(String[] names) throws Exception {
    byte[] bytes = Files.readAllBytes(Path.of(names[0]));
    CMSSignedData cms = names.length > 1
        ? new CMSSignedData(new CMSProcessableByteArray(Files.readAllBytes(Path.of(names[1]))), bytes)
        : new CMSSignedData(bytes);
    for (SignerInformation signer : cms.getSignerInfos().getSigners()) {
      Collection<X509CertificateHolder> found = cms.getCertificates().getMatches(signer.getSID());
      var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC")
          .build(found.iterator().next());
      if (!signer.verify(verifier)) return false;
    }
    return cms.getSignerInfos().size() > 0;
  }
}
