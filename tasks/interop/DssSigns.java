import eu.europa.esig.dss.asic.cades.ASiCWithCAdESSignatureParameters;
import eu.europa.esig.dss.asic.cades.signature.ASiCWithCAdESService;
import eu.europa.esig.dss.asic.xades.ASiCWithXAdESSignatureParameters;
import eu.europa.esig.dss.asic.xades.signature.ASiCWithXAdESService;
import eu.europa.esig.dss.cades.CAdESSignatureParameters;
import eu.europa.esig.dss.cades.signature.CAdESService;
import eu.europa.esig.dss.enumerations.ASiCContainerType;
import eu.europa.esig.dss.enumerations.JWSSerializationType;
import eu.europa.esig.dss.enumerations.SignatureAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SignaturePackaging;
import eu.europa.esig.dss.jades.JAdESSignatureParameters;
import eu.europa.esig.dss.jades.signature.JAdESService;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.model.ToBeSigned;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.pades.PAdESSignatureParameters;
import eu.europa.esig.dss.pades.signature.PAdESService;
import eu.europa.esig.dss.signature.AbstractSignatureParameters;
import eu.europa.esig.dss.signature.DocumentSignatureService;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.spi.x509.tsp.KeyEntityTSPSource;
import eu.europa.esig.dss.xades.XAdESSignatureParameters;
import eu.europa.esig.dss.xades.signature.XAdESService;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * EU DSS signs in every format, level, packaging and container with each key. FOLDER holds the PKI (see theirs.ts) and
 * order.txt, order.xml, order.json, order.pdf; list.tsv in it names the results, with a tab and the content of detached ones.
 */
public class DssSigns {
  record Key(String name, PrivateKey key, List<CertificateToken> chain, SignatureAlgorithm algorithm) {}

  static Path folder;
  static final StringBuilder list = new StringBuilder();

  public static void main(String[] arguments) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    folder = Path.of(arguments[0]);
    List<CertificateToken> authorities = certificates("authorities");
    CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
    trusted.addCertificate(authorities.get(authorities.size() - 1));
    CommonCertificateVerifier verifier = new CommonCertificateVerifier();
    verifier.setTrustedCertSources(trusted);
    verifier.setAIASource(null);
    InputStream[] crls = new InputStream[authorities.size()];
    for (int i = 0; i < crls.length; i++) crls[i] = new ByteArrayInputStream(Files.readAllBytes(folder.resolve(i + ".crl")));
    verifier.setCrlSource(new ExternalResourcesCRLSource(crls));
    List<X509Certificate> tsa = new ArrayList<>();
    for (CertificateToken each : certificates("tsa")) tsa.add(each.getCertificate());
    KeyEntityTSPSource stamps = new KeyEntityTSPSource(key("tsa", "RSA"), tsa.get(0), tsa);
    stamps.setTsaPolicy("1.2.3.4");

    CAdESService cades = new CAdESService(verifier);
    PAdESService pades = new PAdESService(verifier);
    XAdESService xades = new XAdESService(verifier);
    JAdESService jades = new JAdESService(verifier);
    ASiCWithCAdESService asicCades = new ASiCWithCAdESService(verifier);
    ASiCWithXAdESService asicXades = new ASiCWithXAdESService(verifier);
    cades.setTspSource(stamps);
    pades.setTspSource(stamps);
    xades.setTspSource(stamps);
    jades.setTspSource(stamps);
    asicCades.setTspSource(stamps);
    asicXades.setTspSource(stamps);

    Map<String, SignatureAlgorithm> keys = Map.of(
        "rsa", SignatureAlgorithm.RSA_SHA384,
        "pss", SignatureAlgorithm.RSA_SSA_PSS_SHA256_MGF1,
        "p256", SignatureAlgorithm.ECDSA_SHA256,
        "p384", SignatureAlgorithm.ECDSA_SHA384);
    for (var each : keys.entrySet()) {
      SignatureAlgorithm algorithm = each.getValue();
      String file = each.getKey().equals("pss") ? "rsa" : each.getKey();
      Key key = new Key(each.getKey(), key(file, file.equals("rsa") ? "RSA" : "EC"), certificates(file), algorithm);
      for (String level : List.of("B", "T", "LT", "LTA")) {
        for (SignaturePackaging packaging : List.of(SignaturePackaging.ENVELOPING, SignaturePackaging.DETACHED)) {
          CAdESSignatureParameters p = with(new CAdESSignatureParameters(), key, "CAdES", level);
          p.setSignaturePackaging(packaging);
          sign(cades, p, key, "order.txt", "cades", level, packaging == SignaturePackaging.DETACHED, "p7m");
        }
        sign(pades, with(new PAdESSignatureParameters(), key, "PAdES", level), key, "order.pdf", "pades", level, false, "pdf");
        for (SignaturePackaging packaging : SignaturePackaging.values()) {
          XAdESSignatureParameters p = with(new XAdESSignatureParameters(), key, "XAdES", level);
          p.setSignaturePackaging(packaging);
          String kind = "xades-" + packaging.name().toLowerCase().replace('_', '-');
          sign(xades, p, key, "order.xml", kind, level, packaging == SignaturePackaging.DETACHED, "xml");
        }
        for (JWSSerializationType type : JWSSerializationType.values()) {
          // A compact JWS has no unsigned header.
          if (type == JWSSerializationType.COMPACT_SERIALIZATION && !level.equals("B")) continue;
          JAdESSignatureParameters p = with(new JAdESSignatureParameters(), key, "JAdES", level);
          p.setSignaturePackaging(SignaturePackaging.ENVELOPING);
          p.setJwsSerializationType(type);
          sign(jades, p, key, "order.json", "jades-" + type.name().split("_")[0].toLowerCase(), level, false, "json");
        }
        for (ASiCContainerType type : List.of(ASiCContainerType.ASiC_S, ASiCContainerType.ASiC_E)) {
          String extension = type == ASiCContainerType.ASiC_S ? "asics" : "asice";
          ASiCWithCAdESSignatureParameters c = with(new ASiCWithCAdESSignatureParameters(), key, "CAdES", level);
          c.aSiC().setContainerType(type);
          sign(asicCades, c, key, "order.txt", "asic-cades", level, false, extension);
          ASiCWithXAdESSignatureParameters x = with(new ASiCWithXAdESSignatureParameters(), key, "XAdES", level);
          x.aSiC().setContainerType(type);
          sign(asicXades, x, key, "order.txt", "asic-xades", level, false, extension);
        }
      }
    }
    Files.writeString(folder.resolve("list.tsv"), list);
  }

  static <P extends AbstractSignatureParameters<?>> P with(P parameters, Key key, String format, String level) {
    parameters.setSigningCertificate(key.chain.get(0));
    parameters.setCertificateChain(key.chain);
    parameters.setEncryptionAlgorithm(key.algorithm.getEncryptionAlgorithm());
    parameters.setDigestAlgorithm(key.algorithm.getDigestAlgorithm());
    parameters.setSignatureLevel(SignatureLevel.valueByName(format + "-BASELINE-" + level));
    return parameters;
  }

  static <P extends AbstractSignatureParameters<?>> void sign(DocumentSignatureService<P, ?> service, P parameters, Key key,
      String content, String kind, String level, boolean detached, String extension) throws Exception {
    DSSDocument document = new FileDocument(folder.resolve(content).toFile());
    ToBeSigned data = service.getDataToSign(document, parameters);
    Signature signature = Signature.getInstance(key.algorithm.getJCEId(), "BC");
    signature.initSign(key.key);
    signature.update(data.getBytes());
    SignatureValue value = new SignatureValue(key.algorithm, signature.sign());
    String name = kind + (detached ? "-detached" : "") + "-" + key.name + "-" + level.toLowerCase() + "." + extension;
    service.signDocument(document, parameters, value).save(folder.resolve(name).toString());
    list.append(name).append('\t').append(detached ? content : "").append('\n');
  }

  static PrivateKey key(String name, String kind) throws Exception {
    return KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(folder.resolve(name + ".pk8"))));
  }

  static List<CertificateToken> certificates(String name) throws Exception {
    List<CertificateToken> found = new ArrayList<>();
    try (InputStream in = Files.newInputStream(folder.resolve(name + ".pem"))) {
      for (var each : CertificateFactory.getInstance("X.509").generateCertificates(in)) found.add(new CertificateToken((X509Certificate) each));
    }
    return found;
  }
}
