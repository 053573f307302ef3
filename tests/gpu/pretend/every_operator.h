// Every operator that has no kernel of its own: checked as on CUDA, counted, and computed by the CPU's kernel.
// Part of accelerator.cpp.

#pragma once

static std::string described(const c10::Argument& argument, const Tensor& t) {
  std::string text = argument.name() + " of shape [";
  for (auto size : t.sizes()) text += std::to_string(size) + ",";
  return text + "]";
}

template <class Visit>
static void each_tensor(const c10::IValue& value, Visit visit) {
  if (value.isTensor()) {
    visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const auto& t : value.toTensorVector()) visit(t);
  } else if (value.isOptionalTensorList()) {
    for (const auto& t : value.toOptionalTensorVector()) if (t.has_value()) visit(*t);
  }
}

// CUDA's rule: no CPU tensor beside a device tensor, but for indices, and for numbers where an operator takes them.
static void check_devices(const std::string& op, const c10::FunctionSchema& schema, const Stack& stack, size_t first) {
  const bool takes_numbers = WITHOUT_DEVICE_CHECK.count(op), writes_at = WRITING_AT.count(op);
  const bool indexes = writes_at || READING_AT.count(op);
  bool seen = false, first_is_ours = false;
  for (size_t i = 0; i < schema.arguments().size(); i++) {
    const auto& argument = schema.arguments()[i];
    each_tensor(stack[first + i], [&](const Tensor& t) {
      if (!t.defined()) return;
      if (!seen) { seen = true; first_is_ours = is_ours(t); }
      if (is_ours(t) || (takes_numbers && t.dim() == 0)) return;
      if (!indexes || !first_is_ours || argument.name() != "indices") refuse(op, described(argument, t));
      else if (writes_at) count_copy_to_device(op + " at an index on the CPU");
    });
  }
}

static void count(const std::string& op, const Stack& stack, size_t first) {
  count_launch(op);
  if (SYNCHRONISING.count(op)) count_copy_to_host(op);
  if (!WRITING_AT.count(op)) return;
  each_tensor(stack[first + 1], [&](const Tensor& t) {  // `nonzero` expands a mask, and waits
    if (is_ours(t) && t.scalar_type() == at::kBool) count_copy_to_host(op + " at a mask");
  });
}

static c10::IValue on_cpu(const c10::IValue& value) {
  if (value.isTensor()) return as_cpu(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> made;
    for (const auto& t : value.toTensorVector()) made.push_back(as_cpu(t));
    return made;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> made;
    for (const auto& t : value.toOptionalTensorVector()) {
      made.push_back(t.has_value() ? std::optional<Tensor>(as_cpu(*t)) : t);
    }
    return made;
  }
  if (value.isDevice() && value.toDevice().type() == PRETEND) return c10::Device(at::kCPU);
  return value;
}

using Memory = std::unordered_set<const void*>;

static Tensor result(const Tensor& t, const Memory& of_arguments) {
  if (!t.defined()) return t;
  return as_ours(of_arguments.count(t.storage().data()) ? t.clone() : t);
}

// What the CPU's kernel has written to an argument, put where the argument's tensor sees it.
static void written_back(const Tensor& argument, const Tensor& written) {
  if (written.sizes().equals(argument.sizes()) && written.storage().data() == argument.storage().data()) return;
  at::native::resize_(argument, written.sizes(), std::nullopt);
  as_cpu(argument).copy_(written);
}

static c10::IValue returned(const c10::IValue& value, const c10::Argument& about, const c10::FunctionSchema& schema,
                            const std::vector<c10::IValue>& given, const Memory& memory) {
  const auto* alias = about.alias_info();
  if (value.isTensor() && alias && alias->isWrite()) {  // an argument itself, as in `add_`
    for (size_t i = 0; i < given.size(); i++) {
      const auto* of_argument = schema.arguments()[i].alias_info();
      if (of_argument && *of_argument == *alias) return given[i];
    }
  }
  TORCH_CHECK(!(value.isTensor() && alias), "an operator that returns a view needs its own kernel: ", schema.name());
  if (value.isTensor()) return result(value.toTensor(), memory);
  if (!value.isTensorList()) return value;
  c10::List<Tensor> made;
  for (const auto& t : value.toTensorVector()) made.push_back(result(t, memory));
  return made;
}

static void on_the_cpu(const c10::OperatorHandle& handle, Stack* stack) {
  const auto& schema = handle.schema();
  const auto& named = schema.operator_name();
  const std::string op = named.overload_name.empty() ? named.name : named.name + "." + named.overload_name;
  const size_t first = stack->size() - schema.arguments().size();
  check_devices(op, schema, *stack, first);
  count(op, *stack, first);

  const std::vector<c10::IValue> given(stack->begin() + first, stack->end());
  std::vector<std::pair<Tensor, Tensor>> written;  // an argument, and the CPU's view of it
  Memory memory;
  for (size_t i = 0; i < given.size(); i++) {
    auto& value = (*stack)[first + i];
    each_tensor(given[i], [&](const Tensor& t) {
      if (is_ours(t) && t.has_storage() && t.storage().data()) memory.insert(t.storage().data());
    });
    value = on_cpu(given[i]);
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias && alias->isWrite() && given[i].isTensor() && is_ours(given[i].toTensor())) {
      written.emplace_back(given[i].toTensor(), value.toTensor());
    }
  }
  handle.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (const auto& [argument, seen] : written) written_back(argument, seen);
  const size_t begin = stack->size() - schema.returns().size();
  for (size_t i = 0; i < schema.returns().size(); i++) {
    (*stack)[begin + i] = returned((*stack)[begin + i], schema.returns()[i], schema, given, memory);
  }
}

// ---- Convolution, which torch does not send through a fallback

static Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymSizes stride,
                          SymSizes padding, SymSizes dilation, bool transposed, SymSizes output_padding,
                          c10::SymInt groups) {
  const bool biased = bias.has_value() && bias->defined();
  if (!is_ours(input) || !is_ours(weight) || (biased && !is_ours(*bias))) {
    refuse("aten::convolution", "input, weight or bias");
  }
  count_launch("aten::convolution");
  c10::impl::ExcludeDispatchKeyGuard without_gradient(c10::autograd_dispatch_keyset);
  const auto bias_on_cpu = biased ? std::optional<Tensor>(as_cpu(*bias)) : std::nullopt;
  return as_ours(at::convolution_symint(as_cpu(input), as_cpu(weight), bias_on_cpu, stride, padding, dilation,
                                        transposed, output_padding, groups));
}
static std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient, const Tensor& input, const Tensor& weight, SymSizes stride, SymSizes padding,
    SymSizes dilation, bool transposed, SymSizes output_padding, c10::SymInt groups, std::array<bool, 3> wanted) {
  count_launch("aten::convolution_backward");
  const std::vector<c10::SymInt> bias_sizes{transposed ? weight.sym_size(1) : weight.sym_size(0)};
  const auto [to_input, to_weight, to_bias] = at::convolution_backward_symint(
      as_cpu(gradient), as_cpu(input), as_cpu(weight), SymSizes(bias_sizes), stride, padding, dilation, transposed,
      output_padding, groups, wanted);
  return {result(to_input, {}), result(to_weight, {}), result(to_bias, {})};
}
