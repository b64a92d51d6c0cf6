const page = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: page.dataset.specUrl,
  domNode: page,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false, // otherwise the browser would store the password permanently, in plain text
  tryItOutEnabled: true,
  validatorUrl: null,
});
