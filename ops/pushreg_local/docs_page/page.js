// Shows the commands to copy, and Swagger UI with the demo credentials if there are any.
"use strict";

const DARK = matchMedia("(prefers-color-scheme: dark)");
const LABELS = {
  ".body-param textarea": "Request body",
  ".examples-select-element": "Example",
  "pre.microlight": "Content",
  ".close-modal": "Close",
};
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

// Swagger UI has a dark style, but does not ask for the visitor's preference.
function setColorScheme() {
  document.documentElement.classList.toggle("dark-mode", DARK.matches);
}

function showCommand([family, command]) {
  const block = createElement("div", "", "command");
  const copy = createElement("button", "Copy");
  copy.type = "button";
  copy.dataset.copy = "";
  copy.setAttribute("aria-label", `Copy the ${family} command`);
  // One option a line.
  const text = createElement("pre", command.replace(/ (?=-[HXd] )/g, " \\\n  "));
  text.tabIndex = 0;
  block.append(text, copy);
  const section = createElement("section", "");
  section.append(createElement("h2", family), block);
  document.getElementById("commands").append(section);
}

// A link inside the button that opens an operation cannot be reached by keyboard.
function createPlainText(original, system) {
  return ({ text }) => system.React.createElement("span", null, text);
}

// Swagger UI leaves these without a name, or out of reach of the keyboard.
function nameControls() {
  for (const [selector, label] of Object.entries(LABELS)) {
    document.querySelectorAll(`#operations ${selector}:not([aria-label])`).forEach((element) => {
      element.setAttribute("aria-label", label);
      if (element.tagName === "PRE") element.tabIndex = 0;
    });
  }
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
    plugins: [{ wrapComponents: { InfoContainer: () => () => null, DeepLink: createPlainText } }],
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

new MutationObserver(nameControls).observe(document.getElementById("operations"), { childList: true, subtree: true });
setColorScheme();
DARK.addEventListener("change", setColorScheme);
show();
