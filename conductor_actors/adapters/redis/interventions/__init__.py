"""Send interventions to the platform, and store what was learnt from them."""
