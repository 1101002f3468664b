/** The page of a consent window: `/consent#TICKET`. */
import { render } from "preact";
import { consentApi } from "./api.ts";
import { Page } from "./page.tsx";

const ticket = location.hash.slice(1);
// The browser's history, which may be synchronised with other computers, need not know the ticket.
history.replaceState(null, "", location.pathname);
render(<Page api={consentApi(ticket)} />, document.body);
