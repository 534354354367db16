//! Enhanced status codes in the words of a person: what it means and what to do, Chinese and English.
// spec: rfc3463#3 and IANA's registry of enhanced status codes

use protocol::smtp::reply::Status;

/// The words for a status of failure or delay.
pub(super) fn explained(status: Status) -> (&'static str, &'static str) {
    match (status.subject, status.detail) {
        (1, 1) => ("对方没有这个邮箱。请核对地址后重新发送。", "There is no such mailbox there. Check the address and send again."),
        (1, 2) => ("收件地址的域名不存在。请核对 @ 后面的部分。", "The domain of the address does not exist. Check what stands after the @."),
        (1, 3) => ("收件地址写法不对。请核对后重新发送。", "The address is not written as one. Check it and send again."),
        (1, 6) => ("该邮箱已迁走，没有留下新地址。请向收件人询问新地址。", "The mailbox has moved and left no address. Ask the recipient for the new one."),
        (1, 7 | 8) => ("对方不接受发件地址。请联系管理员。", "The other side does not take the sender's address. Ask the administrator."),
        (1, 10) => ("该域名声明不收取任何邮件。请换用其他地址。", "The domain says that it takes no mail at all. Use another address."),
        (2, 1) => ("对方邮箱已停用。请用其他方式联系收件人。", "The mailbox is out of use. Reach the recipient in another way."),
        (2, 2) => ("对方邮箱已满。请稍后再发，或用其他方式告知收件人清理邮箱。", "The mailbox is full. Send again later, or tell the recipient in another way."),
        (2, 3) | (3, 4) => ("邮件太大，对方不收。请减小附件，或分成几封发送。", "The message is too large for the other side. Make attachments smaller, or send several messages."),
        (2, 4) => ("对方邮件列表无法展开。请联系列表管理员。", "A mailing list there cannot be expanded. Ask its owner."),
        (3, 1) => ("对方服务器存储已满。系统会自动重试。", "The server there is out of space. It is tried again by itself."),
        (3, 2) => ("对方服务器暂不收信。", "The server there takes no mail now."),
        (3, _) => ("对方邮件系统有故障或设置不当。", "The mail system there is at fault or set up wrongly."),
        (4, 1) => ("无法连接对方服务器。", "The server there cannot be reached."),
        (4, 2) => ("与对方服务器的连接中途断开。", "The connection to the server there broke."),
        (4, 3 | 4) => ("查不到对方的邮件服务器。域名解析有误或暂时不可用。", "The server for the address cannot be found: the domain's records are wrong or cannot be read now."),
        (4, 6) => ("邮件在服务器之间循环转发。请联系管理员。", "The message goes in circles between servers. Ask the administrator."),
        (4, 7) => ("多日反复尝试仍未送达，不再重试。请核对地址，或用其他方式联系收件人。", "It was tried for days without success and is not tried any more. Check the address, or reach the recipient in another way."),
        (4, _) => ("网络或线路有问题。", "There is trouble with the network or the way there."),
        (5, 3) => ("收件人太多，对方不收。请分几次发送。", "Too many recipients for the other side. Send to fewer at once."),
        (5, _) => ("对方服务器不接受我们的请求。请联系管理员。", "The server there does not take what we ask. Ask the administrator."),
        (6, 3) => ("邮件含有对方不支持的编码。请用普通文字和附件重新发送。", "The message holds an encoding that the other side does not take. Send plain text and attachments."),
        (6, 7) => ("地址含有中文等字符，对方服务器不支持。请换用字母和数字的地址。", "The address is not in plain letters, which the server there does not take. Use one in letters and digits."),
        (6, _) => ("对方不接受邮件的内容格式。", "The other side does not take the form of the message."),
        (7, 1) if status.class == 5 => ("对方拒收，或管理员已取消发送。", "It was refused, or taken back by the administrator."),
        (7, 5 | 10) => ("对方域名要求加密传送（DANE 或 MTA-STS），但其服务器的身份无法核实，邮件未交出。系统会自动重试。", "The domain there asks for proved encryption (DANE or MTA-STS), and its server does not prove who it is: the message was not handed over."),
        (7, 30) => ("邮件要求全程加密（REQUIRETLS），对方服务器不能保证。请不作此要求重新发送，或换用其他方式。", "The message asks for encryption all the way (REQUIRETLS), which the server there does not promise. Send it without asking so, or reach the recipient in another way."),
        (7, 8) => ("需要登录。请联系管理员。", "A login is asked for. Ask the administrator."),
        (7, 20..=30) => ("对方认为发件域名的签名或来源核验未通过。请联系管理员。", "The other side finds the domain's signature or origin wanting. Ask the administrator."),
        (7, _) => ("对方出于安全或反垃圾规则拒收。", "It was refused by the other side's rules against abuse."),
        _ if status.class == 4 => ("暂时无法送达。", "It cannot be delivered now."),
        _ => ("对方服务器拒收，未说明更多原因。", "The server there refused it and says no more."),
    }
}
