using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;

/// <summary>A small portal in C#: login, a signed bill, an order that two officers sign. Only .NET's own classes.</summary>
public static class Portal
{
    static readonly string Port = Setting("PORT", "3000");
    static readonly string Origin = Setting("ORIGIN", "http://localhost:" + Port);
    /// <summary>Of the session's cookie.</summary>
    static readonly string Secure = Origin.StartsWith("https:") ? "; Secure" : "";
    static readonly string Trial = Setting("TRIAL", "");
    static readonly string Trust = Setting("TRUST", "root.pem");
    static readonly string VerifyService = Setting("VERIFY_SERVICE", "");
    static readonly HttpClient Http = new HttpClient();
    /// <summary>PANs of the officers, in the order in which they sign orders.</summary>
    static readonly string[] Officers = Setting("OFFICERS", "AAAPD0001A,AAAPR0002B").Split(',');
    static readonly string Examples = Setting("EXAMPLES", "..");
    /// <summary>The portal's record, in canonical form (RFC 8785): names sorted, no blanks.</summary>
    const string Bill = "{\"bill\":\"2026-27/TR-0142\",\"net\":\"4,58,375.00\",\"payee\":\"Sample Builders\"}";

    static readonly Dictionary<string, Session> Sessions = new Dictionary<string, Session>();
    static byte[] order = File.ReadAllBytes(Path.Combine(Examples, "order.pdf"));
    static int signatures = 0;

    sealed class Session
    {
        public string Nonce;
        public string Pan;
    }

    sealed class Refused : Exception
    {
        public Refused(string message) : base(message) { }
    }

    sealed class Answer
    {
        public string Type;
        public byte[] Body;
    }

    /// <summary>D-Sign checks signature, chain and revocation, and that each of these people has signed.</summary>
    static void Check(IEnumerable<string> pans, byte[] signed, string content)
    {
        if (VerifyService != "")
        {
            AskService(pans, signed, content);
            return;
        }
        string folder = Path.Combine(Path.GetTempPath(), "portal-" + Guid.NewGuid());
        Directory.CreateDirectory(folder);
        try
        {
            string file = Path.Combine(folder, content == null ? "order.pdf" : "signature.p7s");
            File.WriteAllBytes(file, signed);
            string options = "verify --trust \"" + Trust + "\" " + (Trial == "" ? "--online" : "--trial");
            if (content != null)
            {
                File.WriteAllText(Path.Combine(folder, "content"), content);
                options += " --content \"" + Path.Combine(folder, "content") + "\"";
            }
            foreach (string pan in pans)
            {
                string said;
                string all = options + " --pan " + pan + " \"" + file + "\"";
                if (Run(Setting("DSIGN", "dsign"), all, out said) != 0)
                {
                    throw new Refused("The signature does not count. " + said);
                }
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    /// <summary>The same by `dsign verify-service`, at an address like http://127.0.0.1:7797.</summary>
    static void AskService(IEnumerable<string> pans, byte[] signed, string content)
    {
        foreach (string pan in pans)
        {
            var form = new MultipartFormDataContent();
            // "portal" is its name in the service's configuration.
            form.Add(new StringContent("portal"), "\"trust\"");
            form.Add(new StringContent(Trial == "" ? "require" : "if-available"), "\"revocation\"");
            form.Add(new StringContent(Hex(Sha256(pan))), "\"pan\"");
            form.Add(new ByteArrayContent(signed), "\"file\"", "file");
            if (content != null) form.Add(new StringContent(content), "\"content\"", "content");
            HttpResponseMessage answer = Http.PostAsync(VerifyService + "/v1/verify", form).Result;
            string said = answer.Content.ReadAsStringAsync().Result;
            if ((int)answer.StatusCode >= 500) throw new IOException(said); // ask again later
            // A portal takes System.Text.Json. No other member of the report has this name.
            bool ok = answer.IsSuccessStatusCode && said.Contains("\"ok\":true");
            if (!ok) throw new Refused("The signature does not count.");
        }
    }

    static int Run(string program, string arguments, out string said)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using (var process = Process.Start(start))
        {
            said = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode;
        }
    }

    /// <summary>A Web eID token: who has signed this session's nonce for this origin. Returns the PAN.</summary>
    static string Login(Session session, Dictionary<string, string> form)
    {
        string nonce = session.Nonce;
        session.Nonce = null; // once
        X509Certificate2 certificate;
        try
        {
            certificate = new X509Certificate2(Convert.FromBase64String(form["certificate"]));
        }
        catch (Exception error) when (error is CryptographicException || error is FormatException)
        {
            throw new Refused("Not a certificate.");
        }
        // Certificates of real people have a chain and revocation: take the Web eID library there.
        string pem = Path.GetTempFileName();
        string said;
        File.WriteAllText(pem, "-----BEGIN CERTIFICATE-----\n" + form["certificate"] + "\n-----END CERTIFICATE-----\n");
        bool isTrusted = Run("openssl", "verify -CAfile \"" + Trust + "\" \"" + pem + "\"", out said) == 0;
        File.Delete(pem);
        if (!isTrusted) throw new Refused("Not a trusted certificate.");
        bool isSigned = false;
        if (nonce != null && form["algorithm"] == "ES256")
        {
            byte[] message = Sha256(Origin).Concat(Sha256(nonce)).ToArray();
            using (ECDsa key = certificate.GetECDsaPublicKey())
            {
                byte[] signature = Convert.FromBase64String(form["signature"]);
                isSigned = key.VerifyData(message, signature, HashAlgorithmName.SHA256);
            }
        }
        if (!isSigned) throw new Refused("The login was not signed for this session.");
        Match person = Regex.Match(certificate.Subject, "(?:SERIALNUMBER|OID.2.5.4.5)=([0-9a-f]{64})");
        foreach (string pan in Officers)
        {
            if (person.Success && person.Groups[1].Value == Hex(Sha256(pan))) return pan;
        }
        throw new Refused("Nobody of this office.");
    }

    static Answer Route(string request, Session session, byte[] body)
    {
        switch (request)
        {
            case "GET /":
                return FromFile("text/html", Path.Combine(Examples, "page/index.html"));
            case "GET /page.js":
                return FromFile("text/javascript", Path.Combine(Examples, "page/page.js"));
            case "GET /client.js":
                return FromFile("text/javascript", Setting("SDK", Path.Combine(Examples, "../dist/web/client.js")));
            case "GET /config":
                return Text(Trial == "" ? "{}" : "{\"trial\":" + Trial + "}", "application/json");
            case "GET /nonce":
                session.Nonce = Random(33);
                return Text(session.Nonce);
            case "POST /login":
                session.Pan = Login(session, FormOf(body));
                return Text("Logged in: " + session.Pan);
            case "GET /bill":
                return Text(Bill, "application/json");
            case "POST /bill":
                if (session.Pan == null) throw new Refused("Log in first.");
                Check(new[] { session.Pan }, Convert.FromBase64String(Encoding.UTF8.GetString(body)), Bill);
                return Text("The bill is signed by " + session.Pan + ".");
            case "GET /order":
                return new Answer { Type = "application/pdf", Body = order };
            case "PUT /order":
                bool isTurn = signatures < Officers.Length && Officers[signatures] == session.Pan;
                if (!isTurn) throw new Refused("It is not your turn.");
                bool isSame = body.Length >= order.Length && body.Take(order.Length).SequenceEqual(order);
                if (!isSame) throw new Refused("This is another order.");
                Check(Officers.Take(signatures + 1), body, null);
                order = body;
                signatures++;
                return Text("The order has " + signatures + " of " + Officers.Length + " signatures.");
        }
        throw new Refused("There is nothing here.");
    }

    static void Serve(HttpListenerContext context)
    {
        Cookie cookie = context.Request.Cookies["session"];
        string id = cookie == null ? "" : cookie.Value;
        Session session;
        Sessions.TryGetValue(id, out session);
        // A session gets its name here, and a new one at the login: somebody may have planted the browser's.
        if (session == null || context.Request.Url.AbsolutePath == "/login")
        {
            Sessions.Remove(id);
            session = session ?? new Session();
            id = Random(18).Replace('+', '-').Replace('/', '_');
            Sessions[id] = session;
        }
        context.Response.Headers["set-cookie"] = "session=" + id + "; HttpOnly; SameSite=Strict; Path=/" + Secure;
        Answer answer;
        try
        {
            var body = new MemoryStream();
            context.Request.InputStream.CopyTo(body);
            string request = context.Request.HttpMethod + " " + context.Request.Url.AbsolutePath;
            answer = Route(request, session, body.ToArray());
        }
        catch (Refused refused)
        {
            context.Response.StatusCode = 422;
            answer = Text(refused.Message);
        }
        catch (Exception error)
        {
            Console.Error.WriteLine(error);
            context.Response.StatusCode = 500;
            answer = Text("The portal made a mistake.");
        }
        context.Response.ContentType = answer.Type;
        context.Response.OutputStream.Write(answer.Body, 0, answer.Body.Length);
        context.Response.Close();
    }

    static Dictionary<string, string> FormOf(byte[] body)
    {
        return Encoding.UTF8.GetString(body).Split('&').Select(each => each.Split('='))
            .ToDictionary(each => each[0], each => WebUtility.UrlDecode(each[1]));
    }

    static string Setting(string name, string otherwise)
    {
        return Environment.GetEnvironmentVariable(name) ?? otherwise;
    }

    static Answer Text(string text, string type = "text/plain; charset=utf-8")
    {
        return new Answer { Type = type, Body = Encoding.UTF8.GetBytes(text) };
    }

    static Answer FromFile(string type, string path)
    {
        return new Answer { Type = type, Body = File.ReadAllBytes(path) };
    }

    static byte[] Sha256(string text)
    {
        using (SHA256 hash = SHA256.Create()) return hash.ComputeHash(Encoding.UTF8.GetBytes(text));
    }

    static string Hex(byte[] bytes)
    {
        return BitConverter.ToString(bytes).Replace("-", "").ToLowerInvariant();
    }

    static string Random(int length)
    {
        var made = new byte[length];
        using (RandomNumberGenerator random = RandomNumberGenerator.Create()) random.GetBytes(made);
        return Convert.ToBase64String(made);
    }

    public static void Main()
    {
        var listener = new HttpListener();
        listener.Prefixes.Add("http://localhost:" + Port + "/");
        listener.Start();
        Console.WriteLine(Origin + "/");
        while (true) Serve(listener.GetContext());
    }
}
