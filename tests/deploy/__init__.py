"""What is deployed: image, manifests, units, rules, dashboards; tried as far as one machine can."""
