"""What users write: the app and its registry, orchestrators, activities, the context, tasks."""
