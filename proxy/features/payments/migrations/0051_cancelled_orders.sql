-- When the buyer cancelled an order; it expires then. Its `url` is emptied once the provider has ended the checkout.
ALTER TABLE orders ADD COLUMN cancelled BIGINT;
