/** A portal as a treasury may have one: it asks D-Sign for three officers' signatures on one bill. */
import { useState } from "preact/hooks";
// The entries of the npm package, as a portal with a bundler imports them.
import {
  type Client,
  connect,
  type ConnectOptions,
  DsignClientError,
  type Progress,
} from "../client/index.ts";
import { connectByPopup } from "../client/popup.ts";
import { Checked, checkedByServer, MAX_CHECKED } from "./checked.tsx";
import { BILL, LABELS, type Role, ROLES, ROWS } from "./bill.ts";
import { explain, nameOf, titleOf } from "./officers.ts";
import { Order } from "./order.tsx";
import { BillRoute } from "./route.tsx";

interface Signature {
  /** Base64 of the DER certificate, by which officers are told apart. */
  certificate: string;
  name: string;
  algorithm: string;
  at: Date;
  file: Download;
  /** The portal's server's word: `ok`, or why not. */
  checked: string;
}

interface Download {
  name: string;
  /** Base64. */
  content: string;
}

/** `?port=` of the page's address, for a signer program at another port; `?trial=` for a trial agent. */
function asked(): ConnectOptions {
  const given = new URLSearchParams(location.search);
  const [port, trial] = ["port", "trial"].map((name) => Number(given.get(name)));
  return { ...port && { ports: [port] }, ...trial && { trial } };
}

/** The portal's page that helps to install D-Sign. */
const INSTALL = "/web/install.html";

export function Portal() {
  const [client, setClient] = useState<Client | null>(null);
  const [connecting, setConnecting] = useState(false);
  const [problem, setProblem] = useState<{ title: string; text: string } | null>(null);
  /** Where D-Sign can be had, if it does not answer. */
  const [download, setDownload] = useState<string | null>(null);
  /** The browser keeps this page from D-Sign: a window of D-Sign's own may help. */
  const [blocked, setBlocked] = useState(false);
  const [signatures, setSignatures] = useState<Partial<Record<Role["id"], Signature>>>({});

  async function start(way: typeof connect) {
    setConnecting(true);
    setProblem(null);
    setDownload(null);
    let client: Client | undefined;
    try {
      client = await way({ ...asked(), download: INSTALL });
      await client.call("origin.request", {
        scopes: ["certificates", "sign"],
        purpose: "To sign treasury bills and orders",
      });
      const connected = client;
      client.addEventListener("disconnect", () => setClient(null));
      client.addEventListener("reconnect", () => setClient(connected));
      setClient(client);
    } catch (error) {
      client?.close();
      setBlocked(
        error instanceof DsignClientError &&
          ["blocked_by_browser", "permission_denied", "cannot_tell"].includes(error.code),
      );
      if (error instanceof DsignClientError) setDownload(error.download ?? null);
      const text = explain(error, "You did not allow it, so nothing can be signed here.");
      setProblem({ title: titleOf(error), text });
    } finally {
      setConnecting(false);
    }
  }

  const complete = ROLES.every(({ id }) => signatures[id]);
  return (
    <>
      <header class="masthead">
        <p>
          <strong>Sample Treasury</strong>
          <span>Bills for payment</span>
        </p>
        <p class="aside">A sample. No office, no money.</p>
      </header>
      <main>
        <h1>Bill {BILL.bill}</h1>
        <section>
          <dl class="rows">
            {ROWS.map(([label, value]) => (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </section>
        <section class="connection">
          {client
            ? (
              <p class="good" role="status">
                <strong>Connected to D-Sign {client.status.version}</strong> on this computer.
                {client.status.trial && " A trial: its signatures are worth nothing."}
              </p>
            )
            : (
              <>
                <p>
                  To sign, this page needs D-Sign, the signing program on your computer. It shows
                  its own window: there you see what you sign, and only there you type your PIN.
                </p>
                <button type="button" disabled={connecting} onClick={() => start(connect)}>
                  {connecting ? "Look at the D-Sign window" : "Connect to D-Sign"}
                </button>
              </>
            )}
          {problem && (
            <div class="warning" role="alert">
              <p>
                <strong>{problem.title}.</strong> {problem.text}
              </p>
              {download && (
                <p>
                  <a href={download}>Install D-Sign</a>
                </p>
              )}
            </div>
          )}
          {blocked && !client && (
            <button
              type="button"
              disabled={connecting}
              onClick={() => start(connectByPopup)}
            >
              Connect through a D-Sign window
            </button>
          )}
        </section>
        <ol class="steps">
          {ROLES.map((role, index) => (
            <Step
              key={role.id}
              role={role}
              client={client}
              due={ROLES.slice(0, index).every(({ id }) => signatures[id])}
              signature={signatures[role.id] ?? null}
              others={Object.values(signatures)}
              signed={(signature) =>
                setSignatures((before) => ({ ...before, [role.id]: signature }))}
            />
          ))}
        </ol>
        {complete && (
          <p class="complete" role="status">
            The bill is signed by all three officers.
          </p>
        )}
        {client && <BillRoute client={client} />}
        {client && <Order client={client} />}
        {client && <OwnFile client={client} />}
      </main>
    </>
  );
}

function Step(
  { role, client, due, signature, others, signed }: {
    role: Role;
    client: Client | null;
    due: boolean;
    signature: Signature | null;
    others: Signature[];
    signed: (signature: Signature) => void;
  },
) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  async function sign(client: Client) {
    setBusy(true);
    setProblem(null);
    try {
      const { signature, certificate, algorithm } = await client.call("sign.data", {
        content: { json: BILL, labels: LABELS },
        purpose: `Bill ${BILL.bill}: you sign as ${role.title.toLowerCase()}, who ${role.does}`,
      });
      if (others.some((each) => each.certificate === certificate)) {
        setProblem("This officer has signed the bill already. Another officer has to sign here.");
        return;
      }
      signed({
        certificate,
        name: await nameOf(client, certificate),
        algorithm,
        at: new Date(),
        file: { name: `bill-${role.id}.p7s`, content: signature },
        checked: await checkedByServer("bill", signature),
      });
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <li class={signature ? "step signed" : "step"} id={role.id}>
      <h2>
        {role.title} <span class="aside">{role.does}</span>
      </h2>
      {signature
        ? (
          <div class="result">
            <p>
              <strong class="good">Signed by {signature.name}</strong>
              <span class="aside">
                {signature.at.toLocaleTimeString("en-IN")}, {signature.algorithm}
              </span>
            </p>
            <Checked
              result={signature.checked}
              found="the signature holds, its certificate leads to a root that the server trusts, and it is over the server's own record of the bill."
            />
            <Save file={signature.file} />
          </div>
        )
        : (
          <button
            type="button"
            disabled={!client || !due || busy}
            onClick={() => client && sign(client)}
          >
            {busy ? "Look at the D-Sign window" : `Sign as ${role.title.toLowerCase()}`}
          </button>
        )}
      {problem && <p class="warning" role="alert">{problem}</p>}
    </li>
  );
}

/** Any file, as big as it may be, signed without being copied into the page. */
function OwnFile({ client }: { client: Client }) {
  const [file, setFile] = useState<File | null>(null);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [result, setResult] = useState<Download & { checked: string } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  async function sign(file: File) {
    setResult(null);
    setProblem(null);
    setProgress({ phase: "sending", done: 0, total: file.size });
    try {
      const { signature } = await client.signDocument(
        file,
        { purpose: `The file ${file.name.slice(0, 100)}, which you chose yourself` },
        { onProgress: setProgress },
      );
      const body = new FormData();
      body.set("signature", signature);
      body.set("file", file);
      const checked = file.size > MAX_CHECKED
        ? "the file is larger than this sample's server takes"
        : await checkedByServer("file", body);
      setResult({ name: `${file.name}.p7s`, content: signature, checked });
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setProgress(null);
    }
  }

  return (
    <section class="own-file">
      <h2>Sign a file of your own</h2>
      <p class="aside">
        A drawing, a table, anything of any kind. The signature is a file beside it.
      </p>
      <p>
        <label>
          File{" "}
          <input
            type="file"
            onChange={({ currentTarget }) => {
              setFile(currentTarget.files?.[0] ?? null);
              setResult(null);
            }}
          />
        </label>
      </p>
      <button
        type="button"
        disabled={!file || progress !== null}
        onClick={() => file && sign(file)}
      >
        {progress === null
          ? "Sign the file"
          : progress.phase === "sending"
          ? "Sending"
          : "Look at the D-Sign window"}
      </button>
      {progress?.phase === "sending" && (
        <progress value={progress.done} max={progress.total} aria-label="Sending the file" />
      )}
      {result && (
        <>
          <Checked
            result={result.checked}
            found="the signature holds, its certificate leads to a root that the server trusts, and it is over the file that you chose. Of that file the server has no record."
          />
          <Save file={result} />
        </>
      )}
      {problem && <p class="warning" role="alert">{problem}</p>}
    </section>
  );
}

function Save({ file }: { file: Download }) {
  const save = () => {
    const bytes = Uint8Array.from(atob(file.content), (letter) => letter.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/pkcs7-signature" }));
    link.download = file.name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <button type="button" class="secondary" onClick={save}>
      Save {file.name}
    </button>
  );
}
