/** The page behind the QR code on an order. */
import { useEffect, useState } from "preact/hooks";
import type { SanctionView } from "./sanction.ts";
import { find } from "./sanction_api.ts";
import { Facts, Masthead, Signatures } from "./sanction_parts.tsx";

export function VerifyPage({ id }: { id: string }) {
  const [sanction, setSanction] = useState<SanctionView | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    find(id).then(setSanction, (error) => setProblem(error.message));
  }, []);
  return (
    <>
      <Masthead page="Verify an order" />
      <main>
        {problem && (
          <>
            <h1>Not verified</h1>
            <p class="warning" role="alert">{problem}</p>
          </>
        )}
        {sanction && <Verdict sanction={sanction} />}
      </main>
    </>
  );
}

function Verdict({ sanction }: { sanction: SanctionView }) {
  const { signatures, number } = sanction;
  const good = signatures.length > 0 &&
    signatures.every(({ indication }) => indication === "TOTAL-PASSED");
  return (
    <>
      <h1>
        {good
          ? `Technical Sanction ${number} is genuine`
          : signatures.length === 0
          ? `Technical Sanction ${number} is not issued`
          : `Do not rely on Technical Sanction ${number}`}
      </h1>
      <p>
        {good
          ? "The department's register holds this order, and every signature on it is valid. Compare it with the one you were given."
          : signatures.length === 0
          ? "It is a draft: nobody has signed it."
          : "A signature on it is not valid, or cannot be told to be."}
      </p>
      <Facts sanction={sanction} />
      <Signatures signatures={signatures} id={sanction.id} />
      <p class="aside">
        A departmental PIN/OTP signature is made with the department's own certificate. What it is
        worth in law is for the department's rules to say; it is not a DSC of a licensed authority.
      </p>
    </>
  );
}
