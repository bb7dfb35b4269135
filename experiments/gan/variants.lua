--- The settings of the two variants, those of their papers. Batch norm is where the DCGAN paper
-- has it, and nowhere in WGAN-GP, whose penalty is that of single images; WGAN-GP begins with
-- He's weights.

return {
  dcgan = {
    title = "DCGAN", batch_norm = true, initial = "dcgan", critic_steps = 1,
    lr = 2e-4, betas = {0.5, 0.999}, iterations = 10000,
  },
  ["wgan-gp"] = {
    title = "WGAN-GP", batch_norm = false, critic_steps = 5,
    lr = 1e-4, betas = {0.5, 0.9}, iterations = 5000,
  },
}
