"""How far the road carries on AWS and what a month of it costs, computed from the templates' own numbers."""
