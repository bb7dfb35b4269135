--- The settings of the two variants, those of their papers but for WGAN-GP's rate, which is four
-- times as high for a run a fortieth as long. Both generators have batch norm, and DCGAN's
-- discriminator; WGAN-GP's critic has none, since the penalty is that of single images.

return {
  dcgan = {
    title = "DCGAN", critic_norm = true, critic_steps = 1,
    lr = 2e-4, betas = {0.5, 0.999}, iterations = 10000,
  },
  ["wgan-gp"] = {
    title = "WGAN-GP", critic_norm = false, critic_steps = 5,
    lr = 4e-4, betas = {0.5, 0.9}, iterations = 5000,
  },
}
