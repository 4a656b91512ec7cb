"""What a person sees: a single-page application, and the small server that hands it out."""
