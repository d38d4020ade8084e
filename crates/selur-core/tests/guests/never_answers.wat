;; As the skeleton stands.
