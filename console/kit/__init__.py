"""Parts of pages: lists, charts, forms and answers, navigation, files to download."""
