const page = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: page.dataset.specUrl,
  domNode: page,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false, // it would keep the password, as it was typed, in the browser's storage for good
  tryItOutEnabled: true,
  validatorUrl: null,
});
