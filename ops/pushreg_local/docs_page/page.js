// Shows the commands to copy, and Swagger UI with the demo credentials if there are any.
"use strict";

const DEMO = "This stack has demo data, and its credentials are filled in below: press Execute to send a request.";
const EMPTY =
  "This stack has no demo data: add an account, a place or an application, issue a key (pushreg --help), " +
  "and enter it under Authorize.";

function createElement(name, text, className) {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function showCommand([family, command]) {
  const block = createElement("section", "", "command");
  const copy = createElement("button", "Copy");
  copy.type = "button";
  copy.setAttribute("aria-label", `Copy the ${family} command`);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  const head = createElement("div", "", "command-head");
  head.append(createElement("h2", family), copy);
  block.append(head, createElement("pre", command));
  document.getElementById("commands").append(block);
}

function showOperations({ document: url, credentials }) {
  const ui = SwaggerUIBundle({
    url,
    domNode: document.getElementById("operations"),
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    defaultModelExpandDepth: 3,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    // The default validator is a service on another host.
    validatorUrl: null,
    // The page has its own heading.
    plugins: [{ wrapComponents: { InfoContainer: () => () => null } }],
    onComplete: () => {
      for (const [scheme, value] of Object.entries(credentials)) ui.preauthorizeApiKey(scheme, value);
      document.body.dataset.ready = "true";
    },
  });
}

async function show() {
  const settings = await (await fetch("/docs/settings.json")).json();
  document.getElementById("state").textContent = Object.keys(settings.credentials).length ? DEMO : EMPTY;
  settings.commands.forEach(showCommand);
  showOperations(settings);
}

show();
