/** The service's page: `/otp#TICKET` to sign or to sign in, `/otp#enrol-CODE` to set a PIN, `/otp` to change it. */
import { render } from "preact";
import { Page } from "./page.tsx";
import { openSession } from "./session.ts";

// Another ticket that is put into the address of an open tab.
addEventListener("hashchange", () => location.reload());
render(<Page session={openSession()} />, document.body);
