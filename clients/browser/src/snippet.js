// Queues calls of `eye.init`, `eye.send` and the others until the module is there, and loads it.
(function (window, document, source) {
  if (window.eye) return;
  var calls = [];
  var eye = (window.eye = { q: calls });
  ["init", "send", "session", "identify"].forEach(function (name) {
    eye[name] = function () {
      calls.push([name, arguments, new Date()]);
    };
  });
  var script = document.createElement("script");
  script.type = "module";
  script.src = source;
  document.head.appendChild(script);
})(window, document, "GATEWAY/eye.js");
