"""What every route shares: blueprint, parser, fields and base schemas, problems, lists, the OpenAPI frame."""
