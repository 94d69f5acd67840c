"""The agents service: has tasks done by a model, and stays up without one."""
