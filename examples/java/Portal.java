import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A small portal in Java: login, a signed bill, an order that two officers sign. Only the JDK (17 or newer). */
public final class Portal {
  static final int PORT = Integer.parseInt(env("PORT", "3000"));
  static final String ORIGIN = env("ORIGIN", "http://localhost:" + PORT);
  /** Of the session's cookie. */
  static final String SECURE = ORIGIN.startsWith("https:") ? "; Secure" : "";
  static final String TRIAL = env("TRIAL", "");
  static final String TRUST = env("TRUST", "root.pem");
  static final String VERIFY_SERVICE = env("VERIFY_SERVICE", "");
  /** PANs of the officers, in the order in which they sign orders. */
  static final List<String> OFFICERS = List.of(env("OFFICERS", "AAAPD0001A,AAAPR0002B").split(","));
  static final Path EXAMPLES = Path.of(env("EXAMPLES", ".."));
  /** The portal's record, in canonical form (RFC 8785): names sorted, no blanks. */
  static final byte[] BILL = bytes(
      "{\"bill\":\"2026-27/TR-0142\",\"net\":\"4,58,375.00\",\"payee\":\"Sample Builders\"}");
  static final SecureRandom RANDOM = new SecureRandom();
  static final Map<String, Session> SESSIONS = new ConcurrentHashMap<>();
  static byte[] order;
  static int signatures = 0;

  static final class Session {
    String nonce;
    String pan;
  }

  static final class Refused extends Exception {
    Refused(String message) {
      super(message);
    }
  }

  record Answer(String type, byte[] body) {}

  /** D-Sign checks signature, chain and revocation, and that each of these people has signed. */
  static void check(List<String> pans, byte[] signed, byte[] content) throws Exception {
    if (!VERIFY_SERVICE.isEmpty()) {
      askService(pans, signed, content);
      return;
    }
    Path folder = Files.createTempDirectory("portal-");
    Path file = Files.write(folder.resolve(content == null ? "order.pdf" : "signature.p7s"), signed);
    List<String> command = new ArrayList<>(
        List.of(env("DSIGN", "dsign"), "verify", "--trust", TRUST, TRIAL.isEmpty() ? "--online" : "--trial"));
    if (content != null) {
      command.addAll(List.of("--content", Files.write(folder.resolve("content"), content).toString()));
    }
    try {
      for (String pan : pans) {
        List<String> all = new ArrayList<>(command);
        all.addAll(List.of("--pan", pan, file.toString()));
        Process process = new ProcessBuilder(all).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) throw new Refused("The signature does not count. " + said);
      }
    } finally {
      Files.delete(file);
      Files.deleteIfExists(folder.resolve("content"));
      Files.delete(folder);
    }
  }

  /** The same by `dsign verify-service`, at an address like http://127.0.0.1:7797. */
  static void askService(List<String> pans, byte[] signed, byte[] content) throws Exception {
    HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    for (String pan : pans) {
      Map<String, byte[]> fields = new LinkedHashMap<>();
      fields.put("trust", bytes("portal")); // its name in the service's configuration
      fields.put("revocation", bytes(TRIAL.isEmpty() ? "require" : "if-available"));
      fields.put("pan", bytes(HexFormat.of().formatHex(sha256(pan))));
      fields.put("file", signed);
      if (content != null) fields.put("content", content);
      byte[] made = new byte[16];
      RANDOM.nextBytes(made);
      String boundary = HexFormat.of().formatHex(made);
      ByteArrayOutputStream body = new ByteArrayOutputStream();
      for (Map.Entry<String, byte[]> field : fields.entrySet()) {
        String name = field.getKey();
        String file = List.of("file", "content").contains(name) ? "; filename=\"" + name + "\"" : "";
        body.write(bytes("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"" + file));
        body.write(bytes("\r\n\r\n"));
        body.write(field.getValue());
        body.write(bytes("\r\n"));
      }
      body.write(bytes("--" + boundary + "--\r\n"));
      HttpRequest request = HttpRequest.newBuilder(URI.create(VERIFY_SERVICE + "/v1/verify"))
          .header("content-type", "multipart/form-data; boundary=" + boundary)
          .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray()))
          .build();
      HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() >= 500) throw new IOException(answer.body()); // ask again later
      // A portal takes its JSON library. No other member of the report has this name.
      boolean ok = answer.statusCode() == 200 && answer.body().contains("\"ok\":true");
      if (!ok) throw new Refused("The signature does not count.");
    }
  }

  /** A Web eID token: who has signed this session's nonce for this origin. Returns the PAN. */
  static String login(Session session, Map<String, String> form) throws Exception {
    String nonce = session.nonce;
    session.nonce = null; // once
    CertificateFactory x509 = CertificateFactory.getInstance("X.509");
    byte[] der = Base64.getDecoder().decode(form.get("certificate"));
    X509Certificate certificate;
    try (var trusted = Files.newInputStream(Path.of(TRUST))) {
      certificate = (X509Certificate) x509.generateCertificate(new ByteArrayInputStream(der));
      certificate.checkValidity();
      // Certificates of real people have a chain and revocation: take the Web eID library there.
      certificate.verify(x509.generateCertificate(trusted).getPublicKey());
    } catch (GeneralSecurityException error) {
      throw new Refused("Not a trusted certificate.");
    }
    boolean isSigned = false;
    if (nonce != null && "ES256".equals(form.get("algorithm"))) {
      Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
      signature.initVerify(certificate.getPublicKey());
      signature.update(sha256(ORIGIN));
      signature.update(sha256(nonce));
      isSigned = signature.verify(Base64.getDecoder().decode(form.get("signature")));
    }
    if (!isSigned) throw new Refused("The login was not signed for this session.");
    String subject = certificate.getSubjectX500Principal().getName("RFC1779", Map.of("2.5.4.5", "SERIALNUMBER"));
    Matcher person = Pattern.compile("SERIALNUMBER=([0-9a-f]{64})").matcher(subject);
    if (person.find()) {
      for (String pan : OFFICERS) {
        if (HexFormat.of().formatHex(sha256(pan)).equals(person.group(1))) return pan;
      }
    }
    throw new Refused("Nobody of this office.");
  }

  static Answer route(String request, Session session, byte[] body) throws Exception {
    switch (request) {
      case "GET /":
        return new Answer("text/html", Files.readAllBytes(EXAMPLES.resolve("page/index.html")));
      case "GET /page.js":
        return new Answer("text/javascript", Files.readAllBytes(EXAMPLES.resolve("page/page.js")));
      case "GET /client.js":
        return new Answer("text/javascript",
            Files.readAllBytes(Path.of(env("SDK", EXAMPLES.resolve("../dist/web/client.js").toString()))));
      case "GET /config":
        return new Answer("application/json", bytes(TRIAL.isEmpty() ? "{}" : "{\"trial\":" + TRIAL + "}"));
      case "GET /nonce":
        session.nonce = random(33);
        return text(session.nonce);
      case "POST /login":
        session.pan = login(session, formOf(body));
        return text("Logged in: " + session.pan);
      case "GET /bill":
        return new Answer("application/json", BILL);
      case "POST /bill":
        if (session.pan == null) throw new Refused("Log in first.");
        check(List.of(session.pan), Base64.getDecoder().decode(body), BILL);
        return text("The bill is signed by " + session.pan + ".");
      case "GET /order":
        return new Answer("application/pdf", order);
      case "PUT /order":
        synchronized (Portal.class) {
          boolean isTurn = signatures < OFFICERS.size() && OFFICERS.get(signatures).equals(session.pan);
          if (!isTurn) throw new Refused("It is not your turn.");
          boolean isSame = body.length >= order.length
              && Arrays.equals(body, 0, order.length, order, 0, order.length);
          if (!isSame) throw new Refused("This is another order.");
          check(OFFICERS.subList(0, signatures + 1), body, null);
          order = body;
          signatures++;
          return text("The order has " + signatures + " of " + OFFICERS.size() + " signatures.");
        }
      default:
        throw new Refused("There is nothing here.");
    }
  }

  static void answer(HttpExchange exchange) throws IOException {
    String cookies = String.join(";", exchange.getRequestHeaders().getOrDefault("cookie", List.of()));
    Matcher found = Pattern.compile("session=([\\w+/=-]+)").matcher(cookies);
    String id = found.find() ? found.group(1) : "";
    Session session = SESSIONS.get(id);
    // A session gets its name here, and a new one at the login: somebody may have planted the browser's.
    if (session == null || exchange.getRequestURI().getPath().equals("/login")) {
      SESSIONS.remove(id);
      if (session == null) session = new Session();
      id = random(18);
      SESSIONS.put(id, session);
    }
    exchange.getResponseHeaders().set("set-cookie", "session=" + id + "; HttpOnly; SameSite=Strict; Path=/" + SECURE);
    int status = 200;
    Answer answer;
    try {
      byte[] body = exchange.getRequestBody().readAllBytes();
      answer = route(exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath(), session, body);
    } catch (Refused refused) {
      status = 422;
      answer = text(refused.getMessage());
    } catch (Exception error) {
      error.printStackTrace();
      status = 500;
      answer = text("The portal made a mistake.");
    }
    exchange.getResponseHeaders().set("content-type", answer.type());
    exchange.sendResponseHeaders(status, answer.body().length);
    exchange.getResponseBody().write(answer.body());
    exchange.close();
  }

  static Map<String, String> formOf(byte[] body) {
    Map<String, String> form = new ConcurrentHashMap<>();
    for (String pair : new String(body, StandardCharsets.UTF_8).split("&")) {
      int at = pair.indexOf('=');
      form.put(pair.substring(0, at), URLDecoder.decode(pair.substring(at + 1), StandardCharsets.UTF_8));
    }
    return form;
  }

  static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static Answer text(String text) {
    return new Answer("text/plain; charset=utf-8", bytes(text));
  }

  static byte[] sha256(String text) throws GeneralSecurityException {
    return MessageDigest.getInstance("SHA-256").digest(bytes(text));
  }

  static String random(int length) {
    byte[] made = new byte[length];
    RANDOM.nextBytes(made);
    return Base64.getEncoder().encodeToString(made);
  }

  public static void main(String[] args) throws IOException {
    order = Files.readAllBytes(EXAMPLES.resolve("order.pdf"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", PORT), 0);
    server.createContext("/", Portal::answer);
    server.start();
    System.out.println(ORIGIN + "/");
  }
}
