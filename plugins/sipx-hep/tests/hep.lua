-- HEP3 for tshark, where it has no dissector of its own: the chunks as fields, then SIP.
local hep = Proto("hep", "HEP3")
local fields = {
  [1] = ProtoField.uint8("hep.protocol_family", "IP family"),
  [2] = ProtoField.uint8("hep.protocol_id", "IP protocol"),
  [3] = ProtoField.ipv4("hep.src_ip4", "Source address"),
  [4] = ProtoField.ipv4("hep.dst_ip4", "Destination address"),
  [5] = ProtoField.ipv6("hep.src_ip6", "Source address"),
  [6] = ProtoField.ipv6("hep.dst_ip6", "Destination address"),
  [7] = ProtoField.uint16("hep.src_port", "Source port"),
  [8] = ProtoField.uint16("hep.dst_port", "Destination port"),
  [9] = ProtoField.uint32("hep.timestamp", "Seconds"),
  [10] = ProtoField.uint32("hep.timestamp_us", "Microseconds"),
  [11] = ProtoField.uint8("hep.application_protocol_type", "Kind"),
  [12] = ProtoField.uint32("hep.capture_agent_id", "Capture id"),
  [14] = ProtoField.string("hep.auth_key", "Key"),
  [17] = ProtoField.string("hep.uuid", "Correlation"),
  [19] = ProtoField.string("hep.node_name", "Node"),
}
local list = {}
for _, field in pairs(fields) do list[#list + 1] = field end
hep.fields = list

function hep.dissector(buffer, info, tree)
  if buffer:len() < 6 or buffer(0, 4):string() ~= "HEP3" then return 0 end
  local length = buffer(4, 2):uint()
  local shown = tree:add(hep, buffer(0, length))
  local at, payload = 6, nil
  while at + 6 <= length do
    local number, size = buffer(at + 2, 2):uint(), buffer(at + 4, 2):uint()
    if number == 15 then payload = buffer(at + 6, size - 6)
    elseif fields[number] then shown:add(fields[number], buffer(at + 6, size - 6)) end
    at = at + size
  end
  if payload then Dissector.get("sip"):call(payload:tvb("SIP"), info, tree) end
  return length
end

DissectorTable.get("udp.port"):add(9060, hep)
