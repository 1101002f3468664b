/** Which of its views the page shows, in which language, and how it ends. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { OtpView } from "../../protocol/csc.ts";
import { languageOf } from "../../words/agent.ts";
import { Foreign, Languages } from "../parts.tsx";
import type { OtpApi } from "./api.ts";
import type { End } from "./end.ts";
import { ChangePin, SetPin, SignIn } from "./pins.tsx";
import { Sign } from "./sign.tsx";
import { type Say, sayIn } from "../../words/otp.ts";

export function Page({ api, change }: { api: OtpApi; change: boolean }) {
  const [view, setView] = useState<OtpView | null>(null);
  const [language, setLanguage] = useState(() => languageOf(navigator.language));
  const [end, setEnd] = useState<End | null>(null);
  const say = sayIn(language);

  useEffect(() => {
    if (change) return;
    api.view().then((view) => {
      if (!view) return setEnd({ word: "nothing", good: false });
      setLanguage(languageOf(view.language));
      setView(view);
    }, () => setEnd({ word: "unavailable", good: false }));
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = change
      ? say("change")
      : view
      ? `${view.service}: ${heading(view, say)}`
      : "PIN/OTP";
  }, [language, view]);
  useEffect(() => {
    if (end?.go && end.redirect) location.href = end.redirect;
  }, [end]);

  return (
    <>
      <header>
        <p class="brand">
          <strong>
            <Foreign text={view?.service ?? "PIN/OTP"} />
          </strong>
        </p>
        <Languages chosen={language} label={say("language")} choose={setLanguage} />
      </header>
      <main>
        {end
          ? <Ended end={end} say={say} />
          : change
          ? <ChangePin api={api} say={say} finish={setEnd} />
          : view?.kind === "sign"
          ? <Sign view={view} api={api} language={language} say={say} finish={setEnd} />
          : view?.kind === "sign_in"
          ? <SignIn view={view} api={api} say={say} finish={setEnd} />
          : view?.kind === "enrol"
          ? <SetPin view={view} api={api} say={say} finish={setEnd} />
          : <p role="status">{say("loading")}</p>}
      </main>
    </>
  );
}

function heading(view: OtpView, say: Say): string {
  return say(view.kind === "sign" ? "ask" : view.kind === "sign_in" ? "sign_in" : "enrol");
}

function Ended({ end, say }: { end: End; say: Say }) {
  const element = useRef<HTMLHeadingElement>(null);
  useEffect(() => element.current?.focus(), []);
  return (
    <div class={end.good ? "ended good" : "ended"} role="status">
      <h1 ref={element} tabIndex={-1}>{say(end.word)}</h1>
      {end.redirect && <a class="button" href={end.redirect}>{say("back")}</a>}
    </div>
  );
}
