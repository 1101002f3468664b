/** The earlier signers of the same content, and its position on its signing route. */
import type { ConsentItem } from "../../protocol/consent.ts";
import type { Speech } from "../../words/agent.ts";
import type { RefObject } from "preact";
import { Foreign } from "../parts.tsx";

export function Signers({ item, speech }: { item: ConsentItem; speech: Speech }) {
  const { say } = speech;
  const { signedBy, route } = item;
  return (
    <>
      {signedBy && (
        <div class="signers">
          <p class="aside">{say("signed_before")}</p>
          <ul>
            {signedBy.map(({ name, proven }, i) => (
              <li key={i} class={proven ? undefined : "unproven"}>
                {proven
                  ? (
                    <>
                      ✓ <Foreign text={name} />
                    </>
                  )
                  : <Foreign text={say("route_claims", { name })} />}
              </li>
            ))}
          </ul>
        </div>
      )}
      {route && (
        <div class="signers">
          <p class="aside">{say("route_order")}</p>
          <ol>
            {route.steps.map(({ role, quorum, signed, unproven, open, isDone }, i) => (
              <li key={i} aria-current={i === route.next ? "step" : undefined}>
                <strong>
                  <Foreign text={role} />
                </strong>{" "}
                <span class="aside">{say("route_count", { done: signed.length, quorum })}</span>
                {i === route.next && <em>{say("route_now")}</em>}
                <ul>
                  {signed.map((name, j) => (
                    <li key={j} class={unproven.includes(name) ? "unproven" : undefined}>
                      {unproven.includes(name)
                        ? <Foreign text={say("route_claims", { name })} />
                        : (
                          <>
                            ✓ <Foreign text={name} />
                          </>
                        )}
                    </li>
                  ))}
                  {!isDone && open.map((name, j) => (
                    <li key={j}>
                      ○ <Foreign text={name} />
                    </li>
                  ))}
                </ul>
              </li>
            ))}
          </ol>
        </div>
      )}
    </>
  );
}

/** The box to tick before signing after an earlier signer whose identity is not proven. */
export function Unproven(
  { accepted, disabled, speech: { say } }: {
    accepted: RefObject<HTMLInputElement | null>;
    disabled: boolean;
    speech: Speech;
  },
) {
  return (
    <div class="warning" data-see="">
      <p>{say("route_unproven")}</p>
      <label class="confirm">
        <input type="checkbox" id="accept-unproven" ref={accepted} disabled={disabled} />
        <span>{say("route_accept")}</span>
      </label>
    </div>
  );
}
