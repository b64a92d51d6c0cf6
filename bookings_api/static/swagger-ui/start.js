const page = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: page.dataset.specUrl,
  domNode: page,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
