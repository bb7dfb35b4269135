--- The functions and methods of the engine by what they are for, in the order in which
-- `help` and the reference page list them.
-- @module perilune.help.groups

local groups = {}

-- Title, names.
local rows <const> = {
  {"Making tensors", [[tensor empty zeros ones full arange linspace rand randn randperm
    multinomial]]},
  {"Asking and converting", [[size stride dim numel kind is_contiguous item totable to clone
    contiguous detach]]},
  {"Arithmetic of two tensors", [[add sub mul div pow maximum minimum where act_grad]]},
  {"Comparison", [[eq ne lt le gt ge isnan any all]]},
  {"Functions of each element", [[neg affine exp log log1p sqrt square reciprocal abs sin cos
    tanh sigmoid softplus relu leaky_relu elu gelu silu erf clamp sign floor in_range]]},
  {"Shapes", [[reshape flatten t transpose permute expand slice unslice select flip cat stack
    pad]]},
  {"Reductions", [[sum mean var norm prod logsumexp max min amax amin argmax cumsum sort
    topk]]},
  {"Indexing", [[gather scatter_add index_select index_add one_hot nonzero]]},
  {"Layers", [[matmul bmm linear conv2d conv_transpose2d conv2d_input_grad conv2d_weight_grad
    max_pool2d avg_pool2d avg_pool2d_grad batch_norm layer_norm instance_norm
    dropout embedding lstm gru softmax log_softmax]]},
  {"Losses", [[cross_entropy mse_loss binary_cross_entropy_with_logits]]},
  {"In place", [[zero_ fill_ copy_ add_ sub_ mul_ div_ uniform_ normal_ bernoulli_]]},
  {"Gradients", [[requires_grad_ backward backward_each grad no_grad enable_grad custom]]},
  {"Memory", [[tidy keep memory]]},
  {"Random numbers", [[manual_seed random_state set_random_state]]},
  {"Steps of optimisers", [[sgd_ adam_ rmsprop_ total_norm]]},
  {"Files", [[save_tensors load_tensors json_encode json_decode read_idx read_png write_png
    mkdir lock_folder write_file append_file file_size truncate_file image_batch]]},
  {"Drawing", [[canvas]]},
  {"Profiles", [[profile_start profile_stop profile_owner profile_rows]]},
  {"Distances", [[frechet]]},
  {"Support vector machines", [[svm_check svm_classes svm_gamma svm_train svm_features
    svm_frequencies svm_decide svm_choose svm_newton svm_balance svm_neighbours svm_spread]]},
  {"The program and the computer", [[interrupted handle_interrupts clear_interrupt threads isa
    blas isatty terminal_width clock ops op fail_after]]},
}

--- Sorts names into the groups.
-- @param names list of functions and methods
-- @return list of lists of names with a field `title`; the last, "Others", has those that
--   belong to no group
function groups.list(names)
  local known, list, others = {}, {}, {title = "Others"}
  for _, name in ipairs(names) do known[name] = true end
  for _, row in ipairs(rows) do
    local group = {title = row[1]}
    for name in row[2]:gmatch("%S+") do
      if known[name] then group[#group + 1] = name end
      known[name] = nil
    end
    list[#list + 1] = group
  end
  for _, name in ipairs(names) do
    if known[name] then others[#others + 1] = name end
  end
  list[#list + 1] = others
  return list
end

return groups
