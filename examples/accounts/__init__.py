"""Who is who: registers people, logs them in, and asks what they may."""
