/** Key files that D-Sign keeps for the person: added by choosing a file, renamed, removed. */
import { useEffect, useState } from "preact/hooks";
import type { Speech } from "../../words/agent.ts";
import { FileButton, Foreign, Section } from "../parts.tsx";
import { ask, base64Of } from "./api.ts";

export function KeyFiles({ changed, speech }: { changed: () => void; speech: Speech }) {
  const { say } = speech;
  const [names, setNames] = useState<string[]>([]);
  /** The file that is to be renamed or removed once this is confirmed. */
  const [asked, setAsked] = useState<{ name: string; to?: string } | null>(null);
  const [told, setTold] = useState("");
  const look = () =>
    ask<string[]>("key-files").then(setNames, () => setTold(say("error_unreachable")));
  useEffect(() => {
    look();
  }, []);
  async function act(name: string, body: unknown, failure: string) {
    setTold("");
    await ask(`key-files/${name}`, body).catch(() => setTold(failure));
    setAsked(null);
    await look();
    changed();
  }
  async function add(given: File) {
    const file = await base64Of(given);
    await act("add", { name: given.name, file }, say("keys_refused", { file: given.name }));
  }
  return (
    <Section title={say("keys_title")}>
      <p class="aside">{say("keys_explain")}</p>
      <p role="status">
        <Foreign text={told} />
      </p>
      <ul class="plain">
        {names.map((name) => (
          <li key={name} class="row">
            <strong>
              <Foreign text={name} />
            </strong>
            <span class="actions">
              {asked?.name !== name
                ? (
                  <>
                    <button
                      type="button"
                      class="secondary"
                      aria-label={say("keys_rename_one", { file: name })}
                      onClick={() => setAsked({ name, to: name })}
                    >
                      {say("keys_rename")}
                    </button>
                    <button
                      type="button"
                      class="secondary"
                      aria-label={say("keys_remove_one", { file: name })}
                      onClick={() => setAsked({ name })}
                    >
                      {say("roots_remove")}
                    </button>
                  </>
                )
                : asked.to === undefined
                ? (
                  <>
                    <span>{say("keys_remove_ask")}</span>
                    <button type="button" class="secondary" onClick={() => setAsked(null)}>
                      {say("do_cancel")}
                    </button>
                    <button
                      type="button"
                      class="danger"
                      onClick={() => act("remove", { name }, say("error_unreachable"))}
                    >
                      {say("keys_do_remove")}
                    </button>
                  </>
                )
                : (
                  <>
                    <input
                      aria-label={say("keys_new_name")}
                      value={asked.to}
                      maxLength={100}
                      onInput={({ currentTarget }) => setAsked({ name, to: currentTarget.value })}
                    />
                    <button type="button" class="secondary" onClick={() => setAsked(null)}>
                      {say("do_cancel")}
                    </button>
                    <button
                      type="button"
                      onClick={() =>
                        act(
                          "rename",
                          { name, to: asked.to },
                          say("keys_refused", { file: asked.to ?? "" }),
                        )}
                    >
                      {say("keys_rename")}
                    </button>
                  </>
                )}
            </span>
          </li>
        ))}
      </ul>
      <p>
        <FileButton
          label={say("keys_choose")}
          secondary
          accept=".p12,.pfx,application/x-pkcs12"
          choose={([file]) => add(file!)}
        />
      </p>
    </Section>
  );
}
