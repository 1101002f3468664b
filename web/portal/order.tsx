/** An order as a PDF that three officers sign within itself, one after another. */
import { useState } from "preact/hooks";
import { type Client } from "../client/index.ts";
import { type Role, ROLES } from "./bill.ts";
import { Checked, checkedByServer } from "./checked.tsx";
import { explain, nameOf } from "./officers.ts";

interface Signed {
  role: Role;
  certificate: string;
  name: string;
}

export function Order({ client }: { client: Client }) {
  const [name, setName] = useState("");
  /** The PDF with the signatures that it has so far. */
  const [order, setOrder] = useState<Blob | null>(null);
  const [signed, setSigned] = useState<Signed[]>([]);
  /** The server's word on the PDF as it is now. */
  const [checked, setChecked] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const role = ROLES[signed.length];

  async function sign(order: Blob, role: Role) {
    setBusy(true);
    setProblem(null);
    try {
      const { pdf, certificate } = await client.signPdf(order, {
        name,
        reason: `As ${role.title.toLowerCase()}, who ${role.does}`,
        visible: { page: 1, role: role.title },
        purpose: `Order ${name.slice(0, 100)}: you sign as ${role.title.toLowerCase()}`,
      });
      if (signed.some((each) => each.certificate === certificate)) {
        setProblem("This officer has signed the order already. Another officer has to sign here.");
        return;
      }
      const who = await nameOf(client, certificate);
      setChecked(await checkedByServer("order", pdf));
      setOrder(pdf);
      setSigned([...signed, { role, certificate, name: who }]);
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  }

  function save(order: Blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(order);
    link.download = name.replace(/(\.pdf)?$/i, "-signed.pdf");
    link.click();
    URL.revokeObjectURL(link.href);
  }

  return (
    <section class="own-file">
      <h2>Sign an order together</h2>
      <p class="aside">
        A PDF. Each officer's signature becomes part of it and can be seen on its first page.
      </p>
      <p>
        <label>
          Order{" "}
          <input
            type="file"
            accept="application/pdf"
            onChange={({ currentTarget }) => {
              const file = currentTarget.files?.[0] ?? null;
              setOrder(file);
              setName(file?.name ?? "");
              setSigned([]);
              setChecked(null);
            }}
          />
        </label>
      </p>
      <ul>
        {signed.map(({ role, name }) => (
          <li key={role.id} class="good">
            {role.title}: signed by {name}
          </li>
        ))}
      </ul>
      {checked && (
        <Checked
          result={checked}
          found="every signature in it holds, every certificate leads to a root that the server trusts, and nothing else was changed. Of an order that you chose the server has no record."
        />
      )}
      {role && (
        <button
          type="button"
          disabled={!order || busy}
          onClick={() => order && sign(order, role)}
        >
          {busy ? "Look at the D-Sign window" : `Sign the order as ${role.title.toLowerCase()}`}
        </button>
      )}
      {order && signed.length > 0 && (
        <button
          type="button"
          class="secondary"
          onClick={() => save(order)}
        >
          Save the order
        </button>
      )}
      {!role && <p class="complete" role="status">The order is signed by all three officers.</p>}
      {problem && <p class="warning" role="alert">{problem}</p>}
    </section>
  );
}
